// Promise 1 and the sender's side: what is answered, how often, and that nothing is answered
// positively that is not stored.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMllp, type MllpClient } from '../../src/source/mllp-client.ts';
import { codeOf, portOf } from '../support/burst.ts';
import { type Json, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';
import { openFlowBench } from '../support/flow-bench.ts';
import { adt, freshId } from '../support/messages.ts';

let engine: TestEngine;
let client: MllpClient;
beforeAll(async () => {
  engine = await openTestEngine({ environment: { ARTERY_FRAME_BYTES_MAX: '20000' } });
  client = await connectMllp({ host: '127.0.0.1', port: await portOf(engine, 'adt-inbound') });
});
afterAll(async () => {
  await client.close();
  await engine.stop();
  removeFolders();
});

/** MSA-1, MSA-2 and ERR-3.1 of each answer. */
async function exchange(text: string | Buffer, answers = 1, by = client): Promise<string[]> {
  const bytes = typeof text === 'string' ? Buffer.from(text.replaceAll('\n', '\r')) : text;
  const got = await by.send(bytes, answers);
  return got.map((frame) => summaryOf(Buffer.from(frame).toString('latin1')));
}

function summaryOf(answer: string): string {
  const [, code = '', id = ''] = /\rMSA\|([A-Z]{2})\|([^|\r]*)/.exec(answer) ?? [];
  const error = /\rERR\|[^|]*\|[^|]*\|(\d+)/.exec(answer)?.[1];
  return [code, id, ...(error ? [error] : [])].join(' ');
}

function enhanced(text: string, acceptAck: string, applicationAck: string): string {
  return text.replace('|P|2.5.1', `|P|2.5.1|||${acceptAck}|${applicationAck}`);
}

async function stored(): Promise<number> {
  const { messages } = await engine.get('/admin/stats');
  return messages.reduce((sum: number, row: Json) => sum + row.count, 0);
}

describe('original mode', () => {
  it('answers AA, AE for what can be mended, AR for what is not for this channel', async () => {
    const [good, noId, wrong] = [freshId(), '', freshId()];
    expect(await exchange(adt({ id: good }))).toEqual([`AA ${good}`]);
    expect(await exchange(adt({ id: noId }))).toEqual(['AE  101']);
    expect(await exchange(adt({ id: wrong, event: 'Z99' }))).toEqual([`AR ${wrong} 201`]);
    const old = freshId();
    const version = adt({ id: old }).replace('2.5.1', '3.0');
    expect(await exchange(version)).toEqual([`AR ${old} 203`]);
  });

  it('echoes a control id of any form byte for byte', async () => {
    const id = 'A\\T\\B^C&D e~1';
    const [answer] = await client.send(Buffer.from(adt({ id }).replaceAll('\n', '\r')), 1);
    expect(Buffer.from(answer ?? []).toString('latin1')).toContain(`\rMSA|AA|${id}\r`);
  });
});

describe('enhanced mode', () => {
  it('answers CA at once, and AA when the message had its effect', async () => {
    const id = freshId();
    const text = enhanced(adt({ id, pid: 'ENH1' }), 'AL', 'AL');
    expect(await exchange(text, 2)).toEqual([`CA ${id}`, `AA ${id}`]);
    const found = await engine.get('/fhir/R4/Patient?identifier=ENH1');
    expect(found.entry).toHaveLength(1);
  });

  it('answers AE with the reason when the message was set aside', async () => {
    const id = freshId();
    const bad = adt({ id, pid: 'ENH2' }).replace('ENH2^^^HOSP&1.2.3.4&ISO^MR', '');
    const answers = await exchange(enhanced(bad, 'AL', 'AL'), 2);
    expect(answers).toEqual([`CA ${id}`, `AE ${id} 101`]);
  });

  it('answers the application alone, the commit alone or nothing, as asked', async () => {
    const [one, two, three, last] = [freshId(), freshId(), freshId(), freshId()];
    expect(await exchange(enhanced(adt({ id: one }), 'NE', 'AL'))).toEqual([`AA ${one}`]);
    expect(await exchange(enhanced(adt({ id: two }), 'AL', 'NE'))).toEqual([`CA ${two}`]);
    await exchange(enhanced(adt({ id: three }), 'NE', 'NE'), 0);
    // An answer that nobody asked for would be taken for this one's, or fail the connection.
    expect(await exchange(adt({ id: last }))).toEqual([`AA ${last}`]);
  });

  it('answers ER only when something is wrong', async () => {
    const [good, wrong, last] = [freshId(), freshId(), freshId()];
    await exchange(enhanced(adt({ id: good, pid: 'ENH3' }), 'ER', 'ER'), 0);
    const refused = enhanced(adt({ id: wrong, event: 'Z99' }), 'ER', 'NE');
    expect(await exchange(refused)).toEqual([`CR ${wrong} 201`]);
    await engine.settle();
    expect(await exchange(adt({ id: last }))).toEqual([`AA ${last}`]);
  });
});

describe('frames', () => {
  it('answers each message of a batch and of a frame with several', async () => {
    const ids = [freshId(), freshId(), freshId()];
    const messages = ids.map((id) => `${adt({ id })}\n`).join('');
    const batch = `FHS|^~\\&|X\nBHS|^~\\&|X\n${messages}BTS|3\nFTS|1`;
    const wanted = ids.map((id) => `AA ${id}`);
    expect(await exchange(batch, 3)).toEqual(wanted);
    // The same three without the batch around them: repeats, answered as before.
    const before = await stored();
    expect(await exchange(messages, 3)).toEqual(wanted);
    expect(await stored()).toBe(before);
  });

  it('never answers an acknowledgement', async () => {
    const ack = 'MSH|^~\\&|A|B|C|D|20260301||ACK^A01|ACK1|P|2.5.1\nMSA|AA|OUR-1';
    const id = freshId();
    await exchange(ack, 0);
    expect(await exchange(adt({ id }))).toEqual([`AA ${id}`]);
  });

  it('answers AR to what has no readable MSH, keeps what has a segment, and goes on', async () => {
    const before = await stored();
    expect(await exchange('EVN|A01\nPID|1||X')).toEqual(['AR  100']);
    expect(await exchange(Buffer.from([0, 1, 2, 3]))).toEqual(['AR  100']);
    const id = freshId();
    expect(await exchange(adt({ id }))).toEqual([`AA ${id}`]);
    expect(await stored()).toBe(before + 2);
  });

  it('answers AR to a frame beyond the limit, keeps nothing of it, and closes', async () => {
    const before = await stored();
    const port = await portOf(engine, 'adt-inbound');
    const other = await connectMllp({ host: '127.0.0.1', port });
    const id = freshId();
    const large = `${adt({ id })}\nNTE|1||${'x'.repeat(30_000)}`;
    expect(await exchange(large, 1, other)).toEqual([`AR ${id} 200`]);
    await expect(exchange(adt(), 1, other)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
    expect(await stored()).toBe(before);
  });
});

describe('when it cannot be stored', () => {
  it('answers AE, and a later message with the same id is new', async () => {
    const bench = await openFlowBench({ workers: 0 });
    expect(await bench.send(adt())).toBe('AA');
    await bench.close();
    expect(await bench.send(adt())).toBe('AE');
    expect(bench.events).toContain('store.commit-failed');
  });

  it('answers AE when too much waits, and AA again when it has been worked off', async () => {
    const environment = { ARTERY_WAITING_MAX: '3' };
    const receiving = await openTestEngine({ environment, roles: ['receive', 'api'] });
    const texts = Array.from({ length: 5 }, () => adt({ pid: 'OVER' }));
    const answers = await receiving.send('adt-inbound', ...texts);
    expect(answers.map(codeOf)).toEqual(['AA', 'AA', 'AA', 'AE', 'AE']);
    const { folder } = receiving;
    await receiving.stop();
    const working = await openTestEngine({ environment, folder });
    await working.settle();
    expect((await working.send('adt-inbound', ...texts)).map(codeOf)).toEqual(Array(5).fill('AA'));
    await working.settle();
    const { messages } = await working.get('/admin/stats');
    expect(messages).toMatchObject([{ state: 'processed', count: 5 }]);
    await working.stop();
  });
});

describe('charsets', () => {
  const nameOf = async (pid: string): Promise<Json> => {
    await engine.settle();
    const found = await engine.get(`/fhir/R4/Patient?identifier=${pid}`);
    return found.entry[0].resource.name;
  };
  const declared = (text: string, charset: string) =>
    text.replace('|P|2.5.1', `|P|2.5.1||||||${charset}`).replaceAll('\n', '\r');

  it('reads ISO 8859-1', async () => {
    const text = declared(adt({ pid: 'CS1', family: 'Müßigäng' }), '8859/1');
    await exchange(Buffer.from(text, 'latin1'));
    expect(await nameOf('CS1')).toMatchObject([{ family: 'Müßigäng' }]);
  });

  it('reads ISO IR87', async () => {
    const kanji = (jis: string) => `\x1b$B${jis}\x1b(B`;
    const family = `Yamada^Tarou~${kanji(';3ED')}`;
    const text = declared(adt({ pid: 'CS2', family }), '~ISO IR87');
    expect(
      codeOf(Buffer.from((await client.send(Buffer.from(text, 'latin1')))[0] ?? []).toString()),
    ).toBe('AA');
    expect(await nameOf('CS2')).toMatchObject([{ family: 'Yamada' }, { family: '山田' }]);
  });

  it('reads UTF-8 that a lying header calls ASCII', async () => {
    await exchange(declared(adt({ pid: 'CS3', family: 'Øvergård' }), 'ASCII'));
    expect(await nameOf('CS3')).toMatchObject([{ family: 'Øvergård' }]);
  });
});
