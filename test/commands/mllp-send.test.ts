// artery mllp send against a tiny MLLP responder: what is sent, counted and answered.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { makeTemplate } from '../../src/commands/feed.ts';
import { runArtery } from './program.ts';

const MESSAGE = 'MSH|^~\\&|A|B|C|D|20260131||ADT^A01|{{ID}}|P|2.5.1\nPID|1||{{PID}}^^^X\n';
const servers: Server[] = [];
const folders: string[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe('artery mllp send', () => {
  it('fills the placeholders of a file, and sums up the answers', async () => {
    const { port, seen } = await respond(() => 'AA');
    const file = write(MESSAGE);
    const ran = await runArtery(['mllp', 'send', '--port', String(port), '--cr', file, '--json']);
    expect(ran.code).toBe(0);
    const summary = JSON.parse(ran.out);
    expect(summary).toMatchObject({ messages: 1, sent: 1, acks: { AA: 1, none: 0 } });
    expect(summary.answers).toEqual([expect.stringMatching(/^MSH\|[^\n]*\nMSA\|AA\|/)]);
    expect(seen[0]).toMatch(/\|ADT\^A01\|[a-z0-9]{8,}\|P\|2\.5\.1\rPID\|1\|\|P100919\^\^\^X\r$/);
  });

  it('sends a file as it is, byte for byte, and prints the answer', async () => {
    const { port, seen } = await respond(() => 'AA');
    const text = 'MSH|^~\\&|A|B|C|D|20260131||ADT^A01|ID-7|P|2.5.1\r\nPID|1||7^^^X\n\n';
    const ran = await runArtery(['mllp', 'send', '--port', String(port), write(text)]);
    expect(ran.code, ran.out).toBe(0);
    expect(seen).toEqual([text]);
    expect(ran.out).toContain('MSA|AA|ID-7');
  });

  it('replaces MSH-10 where --new-ids asks, and nothing else', async () => {
    const { port, seen } = await respond(() => 'AA');
    const file = write('MSH|^~\\&|A|B|C|D|20260131||ADT^A01|ID-7|P|2.5.1\nPID|1\n');
    const ran = await runArtery(['mllp', 'send', '--port', String(port), '--new-ids', file]);
    expect(ran.code, ran.out).toBe(0);
    expect(seen[0]).toMatch(/\|ADT\^A01\|(?!ID-7)[a-z0-9]{8,}\|P\|2\.5\.1\nPID\|1\n$/);
  });

  it('says which certificates it trusts where no --ca is given', async () => {
    const { port } = await respond(() => 'AA');
    const argv = ['mllp', 'send', '--port', String(port), '--tls', '--timeout', '2'];
    const ran = await runArtery([...argv, write(MESSAGE)]);
    expect(ran.code).toBe(1);
    expect(ran.notes).toContain('no --ca: the server certificate is checked with the CAs');
  });

  it('spreads --count messages over patients and connections', async () => {
    const { port, seen, connections } = await respond(() => 'CA');
    const argv = ['--count', '20', '--patients', '4', '--connections', '3'];
    const ran = await runArtery(['mllp', 'send', '--port', String(port), write(MESSAGE), ...argv]);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('CA 20');
    expect(connections()).toBe(3);
    const ids = seen.map((text) => text.split('|')[9]);
    expect(new Set(ids).size).toBe(20);
    expect(new Set(seen.map((text) => /PID\|1\|\|(\w+)/.exec(text)?.[1])).size).toBe(4);
  });

  it.each(['AE', 'AR', 'CE', 'CR'])(
    'fails when one answer is %s, and tells the reason',
    async (bad) => {
      let count = 0;
      const { port } = await respond(() => (++count === 2 ? bad : 'AA'));
      const ran = await runArtery([
        'mllp',
        'send',
        '--port',
        String(port),
        '--count',
        '3',
        write(MESSAGE),
      ]);
      expect(ran.code).toBe(1);
      expect(ran.out).toContain(`${bad} 1`);
      expect(ran.out).toContain('1 x because of a test');
    },
  );

  it('fails when an answer carries another id', async () => {
    const { port } = await respond(
      () => 'AA',
      () => 'OTHER',
    );
    const ran = await runArtery(['mllp', 'send', '--port', String(port), '--json', write(MESSAGE)]);
    expect(ran.code).toBe(1);
    expect(JSON.parse(ran.out)).toMatchObject({ mismatched: 1 });
  });

  it('counts a message without an answer as none', async () => {
    const { port } = await respond(() => '');
    const argv = [
      'mllp',
      'send',
      '--port',
      String(port),
      '--timeout',
      '1',
      '--json',
      write(MESSAGE),
    ];
    const ran = await runArtery(argv);
    expect(ran.code).toBe(1);
    expect(JSON.parse(ran.out)).toMatchObject({ acks: { none: 1 } });
  });

  it('says in one line that nobody listens', async () => {
    const { port, server } = await respond(() => 'AA');
    server.close();
    const ran = await runArtery(['mllp', 'send', '--port', String(port), write(MESSAGE)]);
    expect(ran.code).toBe(1);
    expect(ran.notes).toContain('cannot be reached');
    expect(ran.notes.split('\n')).toHaveLength(1);
  });

  it('calls a missing port, a missing file and a wrong number by their exit code', async () => {
    expect((await runArtery(['mllp', 'send', 'x.hl7'])).code).toBe(2);
    expect((await runArtery(['mllp', 'send', '--port', '0', 'x.hl7'])).code).toBe(2);
    const ran = await runArtery(['mllp', 'send', '--port', '1', 'x.hl7']);
    expect(ran).toMatchObject({ code: 1, notes: 'artery: x.hl7: ENOENT' });
  });
});

describe('makeTemplate', () => {
  const options = { run: 'run', patients: 1, newIds: true, cr: true };
  const made = (text: string, given = {}) =>
    Buffer.from(makeTemplate(text, { ...options, ...given })(1).bytes).toString('latin1');

  it.each([
    ['MSH|^~\\&|a|b|c|d|e||ADT|OLD|P\nPID|1', 'MSH|^~\\&|a|b|c|d|e||ADT|run000001|P\rPID|1\r'],
    ['MSH#^~\\&#a#b#c#d#e##ADT#OLD', 'MSH#^~\\&#a#b#c#d#e##ADT#run000001\r'],
    ['MSH|^~\\&|a|b\r\nPID', 'MSH|^~\\&|a|b||||||run000001\rPID\r'],
    ['no message', 'no message\r'],
  ])('replaces MSH-10 where {{ID}} is absent: %j', (text, expected) => {
    expect(made(text)).toBe(expected);
  });

  it.each(['MSH|^~\\&|a|b|c|d|e||ADT|OLD|P\nPID|1', 'MSH|^~\\&|a\r\n\r\n', '\u000bMSH', ''])(
    'leaves a file as it is: %j',
    (text) => {
      expect(made(text, { newIds: false, cr: false })).toBe(text);
    },
  );

  it('keeps every byte of another character set', () => {
    const file = Buffer.from('4d53487c5e7e5c267cfc80ff', 'hex').toString('latin1');
    const bytes = Buffer.from(made(`${file}{{ID}}`), 'latin1');
    expect(bytes.toString('hex')).toContain('4d53487c5e7e5c267cfc80ff');
  });
});

function write(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'artery-send-'));
  folders.push(folder);
  const file = join(folder, 'message.hl7');
  writeFileSync(file, text);
  return file;
}

/** Answers each frame with the code that `answer` gives; '' = not at all. */
async function respond(answer: () => string, idOf: (id: string) => string = (id) => id) {
  const seen: string[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
      for (let end = text.indexOf('\x1c'); end >= 0; end = text.indexOf('\x1c')) {
        const message = text.slice(text.indexOf('\x0b') + 1, end);
        text = text.slice(end + 1);
        seen.push(message);
        const code = answer();
        const id = idOf(message.split('|')[9] ?? '');
        const ack = `MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|${code}|${id}|because of a test\r`;
        if (code !== '') socket.write(`\x0b${ack}\x1c\r`);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, seen, server, connections: () => connections };
}
