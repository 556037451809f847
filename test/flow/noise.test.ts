// Bytes that are no HL7: answered, counted by peer and minute, not kept.
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { isNoise } from '../../src/hl7/noise.ts';
import type { TestEngine } from '../support/engine.ts';
import { type Json, newFolder, openTestEngine, removeFolders } from '../support/engine.ts';
import { adt } from '../support/messages.ts';

let engine: TestEngine | undefined;
afterEach(() => engine?.stop());
afterAll(removeFolders);

describe('noise', () => {
  it.each(['', ' ', '\r\r', '\0\0\0', 'GET / HTTP/1.1', 'hello\rworld', '{"a":1}', '<x/>', '|||'])(
    'is %j',
    (text) => expect(isNoise(Buffer.from(text))).toBe(true),
  );

  it.each([
    'MSH|^~\\&|',
    'msh|^~\\&|',
    '\ufeffMSH|',
    '  MSH|',
    'garbage\rPID|1||7',
    'ZZ1|x',
    'FHS|',
    'PV1^1',
    'OBX',
  ])('is not %j, if a separator follows a name', (text) => {
    expect(isNoise(Buffer.from(text))).toBe(text === 'OBX');
  });

  it('is not UTF-16', () => {
    expect(isNoise(Buffer.from('MSH|^~\\&|', 'utf16le'))).toBe(false);
  });

  it('is answered and counted in one entry, and leaves no message', async () => {
    engine = await openTestEngine({ folder: newFolder() });
    const answers = await engine.send('adt-inbound', ...Array(300).fill('hello'));
    expect(answers).toHaveLength(300);
    for (const answer of answers) expect(answer).toMatch(/\rMSA\|AR\|/);
    expect((await engine.get('/admin/messages')).messages).toEqual([]);
    const { entries } = await engine.get('/admin/audit?limit=1000');
    const noise = entries.filter((one: Json) => one.outcomeDesc === 'NOISE');
    expect(noise).toHaveLength(1);
    expect(JSON.stringify(noise)).toContain('127.0.0.1');
    expect((await engine.send('adt-inbound', adt()))[0]).toMatch(/\rMSA\|AA\|/);
  });

  it('does not break the log: an anonymous POST to a channel', async () => {
    engine = await openTestEngine({ folder: newFolder() });
    for (let n = 0; n < 50; n += 1) {
      const answer = await engine.request('POST', '/channels/fhir-inbound', { token: 'nobody' });
      expect(answer.status).toBe(401);
    }
    const { entries } = await engine.get('/admin/audit?limit=1000');
    expect(entries.filter((one: Json) => one.outcomeDesc === 'UNAUTHENTICATED')).toHaveLength(1);
    const report = await engine.request('POST', '/admin/audit/verify', { body: '{}' });
    expect(report.json).toMatchObject({ ok: true });
  });
});
