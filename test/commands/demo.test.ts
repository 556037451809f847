// The simulated feed: well-formed messages of one stay in order, to both channels, until stopped.
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { runDemo } from '../../src/commands/demo.ts';

it('admits, reports, changes and discharges made-up patients until it is stopped', async () => {
  const seen: string[] = [];
  const abort = new AbortController();
  const server = createServer((socket) => {
    socket.setEncoding('latin1').on('data', (frame) => {
      const message = String(frame).slice(1, -2);
      seen.push(message);
      if (seen.length === 6) abort.abort();
      const id = message.split('|')[9];
      socket.write(`\x0bMSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|AA|${id}\r\x1c\r`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const to = { host: '127.0.0.1', port };
  const now = (): number => Date.parse('2026-01-31T08:00:00Z');
  const tally = await runDemo({ adt: to, lab: to, pauseMs: 1, now, signal: abort.signal });
  server.close();
  expect(tally.codes.AA).toBe(6);
  const events = seen.map((message) => message.split('|')[8]);
  expect(events).toEqual([
    'ADT^A01^ADT_A01',
    'ORU^R01^ORU_R01',
    'ADT^A08^ADT_A01',
    'ORU^R01^ORU_R01',
    'ADT^A03^ADT_A03',
    'ADT^A01^ADT_A01',
  ]);
  const pv1 = (message = ''): string[] => message.match(/PV1\|[^\r]*/)?.[0].split('|') ?? [];
  const visits = seen.map((message) => pv1(message)[19]);
  expect(new Set(visits.slice(0, 5)).size).toBe(1);
  expect(visits[5]).not.toBe(visits[0]);
  expect(pv1(seen[0])[44]).toBe('20260131080000+0000');
  expect(pv1(seen[4])[45]).toBe('20260131080000+0000');
  expect(new Set(seen.map((message) => message.split('|')[9])).size).toBe(6);
});
