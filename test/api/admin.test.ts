// /admin on the real engine: who gets in, what is shown, and the acts of an operator.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Json, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';

const PID = 'PID|1||A7^^^ADM^MR||Adminsson^Ada||19700101|F';
const ADMIT = [
  'MSH|^~\\&|ADM|FAC|ARTERY|FAC|20260131080000+0000||ADT^A01^ADT_A01|adm-1|P|2.5.1',
  'EVN|A01|20260131080000+0000',
  PID,
  'PV1|1|I|W1^1^1||||||||||||||||ADMV1',
].join('\n');
/** No patient: is acknowledged or refused, and never has an effect by itself. */
const POSTED = Buffer.from('{"mrn":"B8","family":"Recordsson","birthDate":"1980-02-03"}');

let engine: TestEngine;

beforeAll(async () => {
  engine = await openTestEngine();
});

afterAll(async () => {
  await engine.stop();
  removeFolders();
});

describe('the gate of /admin', () => {
  const routes = [
    ['GET', '/admin/messages', 'messages'],
    ['GET', '/admin/messages/01a203ba-54b3-7ffc-a8be-000000000000', 'messages'],
    ['GET', '/admin/messages/01a203ba-54b3-7ffc-a8be-000000000000/raw', 'messages'],
    ['POST', '/admin/messages/01a203ba-54b3-7ffc-a8be-000000000000/replay', 'messages'],
    ['POST', '/admin/messages/replay?state=set-aside', 'messages'],
    ['GET', '/admin/channels', 'channels'],
    ['GET', '/admin/stats', 'stats'],
    ['GET', '/admin/tokens', 'tokens'],
    ['POST', '/admin/tokens', 'tokens'],
    ['DELETE', '/admin/tokens/x', 'tokens'],
    ['GET', '/admin/audit', 'audit'],
    ['POST', '/admin/audit/verify', 'audit'],
    ['POST', '/admin/keys/rotate', 'keys'],
    ['POST', '/admin/patients/x/forget', 'patients'],
    ['POST', '/admin/backup', 'backup'],
  ] as const;

  it.each(routes)('%s %s needs a token, and one with its scope', async (method, url, area) => {
    const stranger = await engine.request(method, url, { token: 'nobody' });
    expect(stranger.status).toBe(401);
    expect(stranger.headers['content-type']).toContain('application/problem+json');
    const reader = await tokenOf('system/*.cruds');
    expect((await engine.request(method, url, { token: reader })).status).toBe(403);
    const elsewhere = await tokenOf(`admin/${area === 'stats' ? 'audit' : 'stats'}.cruds`);
    expect((await engine.request(method, url, { token: elsewhere })).status).toBe(403);
  });

  it('writes each denial to the audit log', async () => {
    const before = await countDenials();
    await engine.request('GET', '/admin/stats', { token: 'nobody' });
    await engine.request('GET', '/admin/stats', { token: await tokenOf('admin/audit.s') });
    expect(await countDenials()).toBe(before + 2);
  });

  it('does not read the body of a stranger', async () => {
    const body = Buffer.from('{ no json');
    const answer = await engine.request('POST', '/admin/tokens', { token: 'nobody', body });
    expect(answer.status).toBe(401);
  });
});

describe('messages', () => {
  let id: string;

  beforeAll(async () => {
    const [ack] = await engine.send('adt-inbound', ADMIT);
    expect(ack).toMatch(/MSA\|[AC]A\|adm-1/);
    await engine.settle();
    const { messages } = await engine.get('/admin/messages?channel=adt-inbound&limit=1');
    id = messages[0].id;
  });

  it('are listed by filter, in pages, without content', async () => {
    const { messages } = await engine.get('/admin/messages?state=processed&channel=adt-inbound');
    expect(messages.map((one: Json) => one.id)).toEqual([id]);
    expect(JSON.stringify(messages)).not.toContain('Adminsson');
    const { messages: later } = await engine.get('/admin/messages?from=2999-01-01T00:00:00Z');
    expect(later).toEqual([]);
    const page = await engine.get('/admin/messages?limit=1');
    expect((await engine.get(`/admin/messages?limit=1&before=${page.next}`)).messages).toEqual([]);
  });

  it('are shown with state, issues, resources and the fate of each field', async () => {
    const shown = await engine.get(`/admin/messages/${id}`);
    expect(shown).toMatchObject({ state: 'processed', channel: 'adt-inbound', controlId: 'adm-1' });
    expect(shown.resources.map((one: Json) => one.type)).toContain('Patient');
    const family = shown.explained.accounts.find((one: Json) => one.from.startsWith('PID-5.1'));
    expect(family).toMatchObject({ fate: 'mapped', to: 'Patient.name.family' });
    expect(shown.explained.mapHash).toBe(shown.mapHash);
  });

  it('give back the bytes as they were received', async () => {
    const raw = await engine.request('GET', `/admin/messages/${id}/raw`);
    expect(raw.text.trimEnd()).toBe(ADMIT.replaceAll('\n', '\r'));
  });

  it('are replayed, with corrected bytes too', async () => {
    const corrected = Buffer.from(ADMIT.replace('Ada', 'Adele').replaceAll('\n', '\r'));
    const correction = corrected.toString('base64');
    const url = `/admin/messages/${id}/replay`;
    const silent = await engine.request('POST', url, { body: JSON.stringify({ correction }) });
    expect(silent.status).toBe(400);
    const body = JSON.stringify({ correction, reason: 'misspelt' });
    const answer = await engine.request('POST', url, { body });
    expect(answer.status).toBe(202);
    await engine.settle();
    const shown = await engine.get(`/admin/messages/${id}`);
    const patient = shown.resources.find((one: Json) => one.type === 'Patient');
    expect(patient).toMatchObject({ outcome: 'updated', version: 2 });
    const all = await engine.request('POST', '/admin/messages/replay?state=processed');
    expect(all.json).toMatchObject({ matched: 1, replayed: 1, refused: [] });
    await engine.settle();
    const again = await engine.get(`/admin/messages/${id}`);
    expect(again.resources.find((one: Json) => one.type === 'Patient').outcome).toBe('unchanged');
  });

  it.each([
    ['/admin/messages?limit=0', 400],
    ['/admin/messages?limit=1001', 400],
    ['/admin/messages?state=lost', 400],
    ['/admin/messages?from=yesterday', 400],
    ['/admin/messages?stat=received', 400],
    ['/admin/messages/nonsense', 400],
    ['/admin/messages/01a203ba-54b3-7ffc-a8be-000000000000', 404],
    ['/admin/nonsense', 404],
  ])('%s is answered %i', async (url, status) => {
    const answer = await engine.request('GET', url);
    expect(answer.status).toBe(status);
    expect(answer.json).toMatchObject({ status, code: expect.any(String) });
  });
});

describe('tokens', () => {
  it('work until they are revoked, and are listed without their text', async () => {
    const made = await create({ scopes: ['admin/stats.r'], label: 'a test', expiresIn: 60 });
    expect(made.status).toBe(201);
    const { token, id } = made.json;
    expect((await engine.request('GET', '/admin/stats', { token })).status).toBe(200);
    const list = await engine.request('GET', '/admin/tokens');
    expect(list.text).not.toContain(token);
    expect(list.json.tokens.find((one: Json) => one.id === id)).toMatchObject({ label: 'a test' });
    expect((await engine.request('DELETE', `/admin/tokens/${id}`)).status).toBe(204);
    const { tokens } = await engine.get('/admin/tokens');
    expect(tokens.find((one: Json) => one.id === id).revokedAt).toEqual(expect.any(String));
  });

  it.each([
    [{ scopes: [] }, 400],
    [{ scopes: ['everything'] }, 400],
    [{ scopes: ['admin/stats.r'], expiresIn: 10 ** 12 }, 400],
    [{ scopes: ['patient/Patient.rs'] }, 400],
    [{ scopes: ['patient/*.rs'] }, 400],
    [{ scopes: ['system/Nothing.rs'] }, 400],
    [{ scopes: ['system/Patient.d'] }, 400],
    [{ scopes: ['channel/nowhere.write'] }, 400],
    [{ scopes: ['admin/nothing.r'] }, 400],
    [{ scopes: ['admin/stats.d'] }, 400],
    [{ scopes: ['admin/stats.r'], admin: true }, 400],
  ])('of the form %j are answered %i', async (body, status) => {
    expect((await create(body)).status).toBe(status);
  });

  it('cannot hand out more than they hold', async () => {
    const token = await tokenOf('admin/tokens.c', 'system/Patient.r');
    expect((await create({ scopes: ['system/Patient.r'] }, token)).status).toBe(201);
    for (const scope of ['admin/*.cruds', 'system/*.r', 'system/Patient.rs', 'channel/a.write']) {
      expect((await create({ scopes: [scope] }, token)).status, scope).toBe(403);
    }
  });
});

describe('the acts of an operator', () => {
  it('verify the audit log', async () => {
    const report = await engine.request('POST', '/admin/audit/verify');
    expect(report.json).toMatchObject({ ok: true });
    expect(report.json.entries).toBeGreaterThan(5);
  });

  const backUp = (body: object) =>
    engine.request('POST', '/admin/backup', { body: JSON.stringify(body) });

  it('write a backup into the folder of the backups, never over another one', async () => {
    const done = await backUp({ name: 'first' });
    expect(done.status, done.text).toBe(200);
    const to = join(engine.folder, 'data', 'backups', 'first');
    expect(done.json).toMatchObject({ to, rootKeys: [expect.stringMatching(/^root-/)] });
    const info = JSON.parse(readFileSync(join(to, 'artery-backup-info.json'), 'utf8'));
    expect(info).toMatchObject({ format: 1, engine: 'sqlite', rootKeys: done.json.rootKeys });
    const again = await backUp({ name: 'first' });
    expect([again.status, again.json.code]).toEqual([409, 'ALREADY_EXISTS']);
  });

  it.each([
    ...['../x', '/proc/self/x', 'a/b', 'a\\b', '..', '.', '.hidden', 'a\0b', '', ' ', 'x.partial'],
    ...['~root', 'a'.repeat(101), '%2e%2e', 'é', 'name\n'],
  ])('write no backup named %j', async (name) => {
    const before = readdirSync(join(engine.folder, 'data', 'backups')).sort();
    const refused = await backUp({ name });
    expect(refused.status, refused.text).toBe(400);
    expect(readdirSync(join(engine.folder, 'data', 'backups')).sort()).toEqual(before);
  });

  it('write no backup where the request says', async () => {
    expect((await backUp({ to: '/proc/self/x' })).status).toBe(400);
  });

  it('count what there is', async () => {
    const stats = await engine.get('/admin/stats');
    // The work thread tells of its queue every two seconds.
    const queueNow = async () => (await engine.get('/admin/stats')).queue;
    await expect.poll(queueNow, { timeout: 20_000 }).toMatchObject({ waiting: 0, active: 0 });
    expect(stats.resources).toContainEqual({ type: 'Patient', count: expect.any(Number) });
  });

  it('list every channel with its state', async () => {
    const { channels, problems } = await engine.get('/admin/channels');
    expect(problems).toEqual([]);
    expect(channels.map((one: Json) => [one.name, one.listening])).toEqual([
      ['adt-inbound', true],
      ['fhir-inbound', true],
      ['lab-inbound', true],
      ['rest-inbound', true],
    ]);
  });

  it('take a record by HTTP and forget its patient', async () => {
    const token = await tokenOf('channel/rest-inbound.write');
    const posted = await engine.request('POST', '/channels/rest-inbound', { token, body: POSTED });
    expect(posted.status).toBeLessThan(300);
    await engine.settle();
    const { messages } = await engine.get('/admin/messages?channel=rest-inbound');
    const shown = await engine.get(`/admin/messages/${messages[0].id}`);
    const patient = shown.resources.find((one: Json) => one.type === 'Patient').id;
    expect((await engine.request('GET', `/fhir/R4/Patient/${patient}`)).status).toBe(200);
    const forgotten = await engine.request('POST', `/admin/patients/${patient}/forget`);
    expect(forgotten.json).toMatchObject({ patient });
    expect((await engine.request('GET', `/fhir/R4/Patient/${patient}`)).status).toBe(410);
    expect((await engine.request('POST', '/admin/patients/nobody/forget')).status).toBe(404);
  });

  const patient = { timeout: 120_000 };
  it(
    'rotate the root key as often as they like, and the data stays readable',
    patient,
    async () => {
      const folder = join(engine.folder, 'twice');
      mkdirSync(folder);
      const first = await openTestEngine({ folder });
      await first.send('adt-inbound', ADMIT);
      await first.settle();
      for (const key of ['root', 'tenant', 'root', 'root']) {
        const body = JSON.stringify({ key });
        const done = await first.request('POST', '/admin/keys/rotate', { body });
        expect(done.status, `${key}: ${done.text}`).toBe(200);
      }
      await first.stop();
      const file = JSON.parse(readFileSync(join(folder, 'data', 'keys', 'root.key'), 'utf8'));
      expect(file).toBeTypeOf('object');
      const second = await openTestEngine({ folder });
      const { messages } = await second.get('/admin/messages');
      expect((await second.get(`/admin/messages/${messages[0].id}`)).controlId).toBe('adm-1');
      await second.stop();
    },
  );
});

async function create(body: object, token?: string) {
  const text = JSON.stringify(body);
  return engine.request('POST', '/admin/tokens', { body: text, ...(token ? { token } : {}) });
}

async function tokenOf(...scopes: string[]): Promise<string> {
  return (await create({ scopes })).json.token;
}

async function countDenials(): Promise<number> {
  const { entries } = await engine.get('/admin/audit?limit=1000');
  return entries.filter((one: Json) => JSON.stringify(one.subtype ?? one.type).includes('deny'))
    .length;
}
