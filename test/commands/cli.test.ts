// The command line from end to end: a real server started by src/launch.mjs, commands against it,
// and the same commands with no server. Exit codes are what scripts depend on.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandContext } from '../../src/commands/context.ts';
import { projectDir } from '../../src/config/config.ts';
import { type Ran, runArtery } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'artery-cli-'));
const dataDir = join(folder, 'data');
const environment = {
  ARTERY_DATA_DIR: dataDir,
  ARTERY_HTTP_PORT: '0',
  ARTERY_ADT_PORT: '0',
  ARTERY_LAB_PORT: '0',
  ARTERY_LOG_LEVEL: 'silent',
};
const context: Partial<CommandContext> = {
  environment,
  openApp: async (config, options) => (await import('../../src/app.ts')).openApp(config, options),
};
const artery = (...argv: string[]): Promise<Ran> => runArtery(argv, context);
const parsed = async (...argv: string[]) => JSON.parse((await artery(...argv, '--json')).out);

/** Each call starts an engine of its own; on a busy machine that takes seconds. */
const SLOW = { timeout: 120_000 };

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('without a server', () => {
  it('makes a token in process, and leaves the folder to the next', async () => {
    const made = await artery('token', 'create', '--scope', 'system/*.rs');
    expect(made.notes).toBe('');
    expect(made.code).toBe(0);
    expect(made.out).toMatch(/^\S{30,}$/);
    expect(await parsed('token', 'ls')).toHaveLength(1);
    expect(statSync(join(dataDir, 'keys', 'root.key')).mode & 0o777).toBe(0o600);
  });

  it('checks the settings, the files and the machine', async () => {
    const ran = await artery('doctor', '--json');
    const { checks } = JSON.parse(ran.out) as { checks: { name: string; state: string }[] };
    const names = checks.map((check) => check.name);
    expect(names).toEqual(
      expect.arrayContaining(['node', 'sqlite', 'root key', 'channels', 'mappings']),
    );
    chmodSync(join(dataDir, 'keys', 'root.key'), 0o644);
    const open = await artery('doctor');
    chmodSync(join(dataDir, 'keys', 'root.key'), 0o600);
    expect(open.code).toBe(1);
    expect(open.out).toMatch(/FAIL +root key +others can read it: chmod 600/);
  });

  it.each([
    [['nonsense'], 2],
    [['token', 'create'], 2],
    [['token', 'create', '--scope', 'everything'], 2],
    [['token', 'revoke', '00000000-0000-7000-8000-000000000000'], 3],
    [['message', 'show', '00000000-0000-7000-8000-000000000000'], 3],
    [['message', 'ls', '--limit', '0'], 2],
    [['message', 'ls', '--state', 'nosuch'], 2],
    [['message', 'ls', '--channel', 'nosuch'], 2],
    [['message', 'replay', '--state', 'set-aside', '--channel', 'nosuch'], 2],
    [['message', 'replay'], 2],
    [['patient', 'forget', 'p1'], 2],
    [['patient', 'forget', 'p1', '--yes'], 3],
    [['key', 'rotate', 'nothing'], 2],
    [['map', 'run', 'no.hl7', '--channel', 'nowhere'], 3],
    [['restore', '--from', join(folder, 'nothing')], 4],
    [['backup', '../elsewhere'], 2],
  ])('%j ends with %i and one line of reason', async (argv, code) => {
    const ran = await artery(...argv);
    expect(ran.code, ran.notes).toBe(code);
    expect(ran.notes.split('\n')).toHaveLength(1);
    expect(ran.notes).not.toMatch(/\n\s+at /);
  });

  it.each([
    [['nonsense'], 2],
    [['message', 'ls', '--limit', '0'], 2],
    [['message', 'show', '00000000-0000-7000-8000-000000000000'], 3],
    [['map', 'run', 'no.hl7', '--channel', 'nowhere'], 3],
  ])('%j --json says its failure as JSON', async (argv, exitCode) => {
    const ran = await artery(...argv, '--json');
    expect(ran.code).toBe(exitCode);
    expect(JSON.parse(ran.out)).toEqual({ error: { exitCode, message: expect.any(String) } });
  });

  it.each([[[]], [['--json']]])(
    'prints the OperationOutcome of a refused read %j',
    async (more) => {
      const ran = await artery('fhir', 'get', 'Patient/nobody', ...more);
      expect(ran.code).toBe(3);
      expect(JSON.parse(ran.out)).toMatchObject({
        resourceType: 'OperationOutcome',
        issue: [{ severity: 'error', code: 'not-found' }],
      });
    },
  );

  it('backs up and restores into an empty place, with the key kept apart', async () => {
    const to = join(dataDir, 'backups', 'first');
    const made = await artery('backup', 'first');
    expect(made).toMatchObject({ code: 0 });
    expect(made.out).toContain(`Backup in ${to}. It is opened by the root key root-`);
    expect(await artery('backup', 'first')).toMatchObject({ code: 4 });
    const elsewhere = { ...environment, ARTERY_DATA_DIR: join(folder, 'restored') };
    const ran = await runArtery(['restore', '--from', to], { ...context, environment: elsewhere });
    expect(ran.code, ran.notes).toBe(0);
    expect(ran.out).toMatch(/It needs the root key root-\S+: put the root key to/);
    const keyed = { ...elsewhere, ARTERY_ROOT_KEY_FILE: join(dataDir, 'keys', 'root.key') };
    const list = await runArtery(['token', 'ls', '--json'], { ...context, environment: keyed });
    expect(JSON.parse(list.out)).toHaveLength(1);
    const again = await runArtery(['restore', '--from', to], {
      ...context,
      environment: elsewhere,
    });
    expect(again.code).toBe(4);
  });

  it('opens a backup of before a rotation, or says which key is missing', SLOW, async () => {
    const keys = join(dataDir, 'keys');
    expect(await artery('backup', 'before')).toMatchObject({ code: 0 });
    expect(await artery('key', 'rotate', 'root')).toMatchObject({ code: 0 });
    const [retired = ''] = readdirSync(join(keys, 'retired'));
    expect(statSync(join(keys, 'retired', retired)).mode & 0o777).toBe(0o600);
    const place = (name: string) => ({
      ...environment,
      ARTERY_DATA_DIR: join(folder, name),
      ARTERY_ROOT_KEY_FILE: join(folder, name, 'keys', 'root.key'),
    });
    const restore = (name: string) =>
      runArtery(['restore', '--from', join(dataDir, 'backups', 'before')], {
        ...context,
        environment: place(name),
      });
    cpSync(keys, join(folder, 'with', 'keys'), { recursive: true });
    expect((await restore('with')).out).toContain('Its root key is in place.');
    const doctor = await runArtery(['doctor'], { ...context, environment: place('with') });
    expect(doctor.out).toMatch(/ok +root key +\S+ opens the store/);
    cpSync(keys, join(folder, 'without', 'keys'), { recursive: true });
    rmSync(join(folder, 'without', 'keys', 'retired'), { recursive: true });
    expect((await restore('without')).out).toContain(retired.replace('.key', ''));
    const alarmed = await runArtery(['doctor'], { ...context, environment: place('without') });
    expect(alarmed.code).toBe(1);
    expect(alarmed.out).toMatch(/FAIL +root key .*root-/);
  });

  it.each([
    ['', 'it is not JSON'],
    ['{"format":"artery-root-key/1","keys":[]}', 'it holds no key'],
  ])('doctor refuses a root key file of %j', SLOW, async (text, reason) => {
    const place = { ...environment, ARTERY_ROOT_KEY_FILE: join(folder, 'wrong.key') };
    writeFileSync(place.ARTERY_ROOT_KEY_FILE, text, { mode: 0o600 });
    const ran = await runArtery(['doctor'], { ...context, environment: place });
    expect(ran.code).toBe(1);
    expect(ran.out).toContain(reason);
  });

  it('doctor refuses the root key of another installation', SLOW, async () => {
    const file = join(folder, 'other.key');
    expect(await artery('key', 'make', file)).toMatchObject({ code: 0 });
    const place = { ...environment, ARTERY_ROOT_KEY_FILE: file };
    const ran = await runArtery(['doctor'], { ...context, environment: place });
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/FAIL +root key .*root-/);
  });

  it('makes tokens that expire, or that say that they do not', async () => {
    const make = (...more: string[]) =>
      artery('token', 'create', '--scope', 'admin/stats.r', ...more);
    expect(await make('--label', 'usual')).toMatchObject({ code: 0 });
    expect(await make('--label', 'lasting', '--never-expires')).toMatchObject({ code: 0 });
    expect(await make('--days', '3', '--never-expires')).toMatchObject({ code: 2 });
    const tokens = (await parsed('token', 'ls')) as { label: string; expiresAt: string | null }[];
    const lifeOf = (label: string) => tokens.find((token) => token.label === label)?.expiresAt;
    const days = (Date.parse(lifeOf('usual') ?? '') - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(90);
    expect(lifeOf('lasting')).toBeNull();
    expect((await artery('token', 'ls')).out).toMatch(/never expires +lasting/);
  });

  it('makes certificates for their owner only, and keeps its CA', async () => {
    const dir = join(folder, 'certs');
    const make = ['cert', 'make', '--dir', dir, '--host', 'localhost', '127.0.0.1'];
    expect(await artery(...make)).toMatchObject({ code: 0, notes: '' });
    const files = readdirSync(dir).sort();
    expect(files).toEqual([
      'ca.key',
      'ca.pem',
      'client.key',
      'client.pem',
      'server.key',
      'server.pem',
    ]);
    for (const file of files) expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600);
    expect((await artery(...make)).code).toBe(4);
    const before = statSync(join(dir, 'ca.pem')).mtimeMs;
    expect((await artery(...make, '--force')).code).toBe(0);
    expect(statSync(join(dir, 'ca.pem')).mtimeMs).toBe(before);
  });

  it('maps a file as a channel would, without storing it', async () => {
    const file = writeMessage('adt.hl7', 'ADT^A01^ADT_A01');
    const ran = await artery('map', 'run', file, '--channel', 'adt-inbound', '--json');
    const [run] = JSON.parse(ran.out);
    expect(run).toMatchObject({ type: 'ADT^A01^ADT_A01', verdict: 'accepted' });
    expect(run.output.accounts.length).toBeGreaterThan(10);
    expect(await parsed('message', 'ls')).toMatchObject({ messages: [] });
  });

  it('looks through the maps of this project and doubts nothing', async () => {
    expect(await parsed('map', 'lint')).toEqual({ maps: 6, problems: [], warnings: [] });
  });
});

describe('every command', () => {
  const commands = ['start', 'mllp send', 'message ls', 'message show', 'message replay'].concat(
    ['channel ls', 'channel check', 'map test', 'map run', 'map lint', 'token create', 'token ls'],
    ['token revoke', 'audit verify', 'audit ls', 'patient forget', 'key rotate', 'cert make'],
    ['backup', 'restore', 'store copy', 'doctor', 'fhir get'],
  );
  it.each(commands)('%s has help with an example', async (name) => {
    const ran = await runArtery([...name.split(' '), '--help']);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain(`$ artery ${name}`);
    expect(ran.out).toContain('--json');
  });
});

describe('with a server', () => {
  let server: ChildProcess;
  let ports: Record<string, string>;

  beforeAll(async () => {
    const launch = join(projectDir(), 'src', 'launch.mjs');
    server = spawn(process.execPath, [launch, 'start', '--json'], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [chunk] = await once(server.stdout ?? server, 'data');
    const { channels } = JSON.parse(String(chunk).split('\n')[0] ?? '');
    ports = Object.fromEntries(
      channels.map((one: { name: string; address: string }) => [
        one.name,
        one.address.split(':')[1],
      ]),
    );
  });

  it('sends, lists and shows a message, and reads its patient', async () => {
    const file = writeMessage('send.hl7', 'ADT^A01^ADT_A01');
    const sent = await artery('mllp', 'send', '--port', ports['adt-inbound'] ?? '', file);
    expect(sent.code, sent.out + sent.notes).toBe(0);
    const [message] = await untilProcessed();
    const shown = await artery('message', 'show', message.id);
    expect(shown.out).toMatch(/PID-5\.1 +mapped +Patient\.name\.family/);
    const raw = await artery('message', 'show', message.id, '--raw');
    expect(raw.out).toContain('PID|1||P100919^^^X^MR');
    const found = await parsed('fhir', 'get', 'Patient?family=Commander');
    expect(found.entry).toHaveLength(1);
  });

  it('verifies the audit log and lists its entries', async () => {
    const verified = await artery('audit', 'verify');
    expect(verified.code, verified.out).toBe(0);
    expect((await artery('audit', 'ls', '--limit', '50')).out).toContain('receive');
  });

  it('is seen by doctor and refuses a restore', async () => {
    expect((await artery('channel', 'ls')).out).toMatch(/adt-inbound +hl7v2 +mllp/);
    const ran = await artery('restore', '--from', folder);
    expect(ran).toMatchObject({ code: 4 });
    expect(ran.notes).toContain('stop it first');
  });

  it('ends with SIGTERM, leaving no run file, and the data is there without it', async () => {
    server.kill('SIGTERM');
    const [code] = await once(server, 'exit');
    expect(code).toBe(0);
    expect(existsSync(join(dataDir, 'run', 'server.json'))).toBe(false);
    expect((await parsed('message', 'ls')).messages).toHaveLength(1);
  });

  async function untilProcessed() {
    for (let tries = 0; tries < 200; tries++) {
      const { messages } = await parsed('message', 'ls', '--state', 'processed');
      if (messages.length > 0) return messages;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`not processed: ${(await artery('message', 'ls')).out}`);
  }
});

function writeMessage(name: string, type: string): string {
  const file = join(folder, name);
  const segments = [
    `MSH|^~\\&|CLI|FAC|ARTERY|FAC|20260131080000+0000||${type}|{{ID}}|P|2.5.1`,
    'EVN|A01|20260131080000+0000',
    'PID|1||{{PID}}^^^X^MR||Commander^Cora||19700101|F',
    'PV1|1|I|W1^1^1||||||||||||||||CLIV1',
  ];
  writeFileSync(file, `${segments.join('\r')}\r`);
  return file;
}
