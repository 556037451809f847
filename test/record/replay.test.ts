// Replay keeps what was received and what became of it, and does not go back in time unasked.
import { describe, expect, it } from 'vitest';
import { forgetPatient } from '../../src/record/forget.ts';
import { openMessage, setAside } from '../../src/record/message.ts';
import { HISTORY_MAX, openHistory } from '../../src/record/message-history.ts';
import { replayMessage } from '../../src/record/replay.ts';
import { writeMapped } from '../../src/record/write.ts';
import { arrival, CLERK, mapped, openBench, output, patient, receive, SUBJECT } from './open.ts';

const ISSUE = { severity: 'error', code: 'structure', at: 'PID', text: 'PID is missing.' } as const;

type Record = Awaited<ReturnType<typeof openBench>>['record'];

async function refused(record: Record, text: string, envelope = {}) {
  const opened = await receive(record, arrival(text, envelope));
  await setAside(record, opened.row, { issues: [ISSUE], attempts: 2 });
  return opened;
}

async function historyOf(record: Record, id: string) {
  const message = await openMessage(record, CLERK, id);
  const lives = await openHistory(record, message.row, message.history);
  return lives.map(
    (life) => life && { ...life, raw: life.raw && Buffer.from(life.raw).toString() },
  );
}

const correct = (text: string, reason: string) => ({
  correction: { raw: Buffer.from(text) },
  reason,
});

describe('a correction', () => {
  it('keeps the received bytes, every earlier correction and outcome, who and why', async () => {
    const { record } = await openBench();
    const { row, envelope } = await refused(record, 'received');
    await replayMessage(record, CLERK, row.id, correct('second', 'first reason'));
    const second = await openMessage(record, CLERK, row.id);
    expect(second.envelope).toEqual(envelope);
    await setAside(record, second.row, { issues: [ISSUE, ISSUE], attempts: 1 });
    await replayMessage(record, CLERK, row.id, correct('third', 'second reason'));
    expect(Buffer.from((await openMessage(record, CLERK, row.id)).raw).toString()).toBe('third');
    expect(await historyOf(record, row.id)).toMatchObject([
      { raw: 'received', reason: 'first reason', who: CLERK.id, state: 'set-aside', attempts: 2 },
      { raw: 'second', reason: 'second reason', outcome: { issues: [ISSUE, ISSUE] } },
    ]);
  });

  it('is refused beyond the bound; plain replays drop the oldest plain one', async () => {
    const { record } = await openBench();
    const { row } = await refused(record, 'x');
    await replayMessage(record, CLERK, row.id, correct('y', 'r'));
    for (let count = 0; count < HISTORY_MAX + 3; count++) {
      const now = await openMessage(record, CLERK, row.id);
      await setAside(record, now.row, { issues: [], attempts: 1 });
      await replayMessage(record, CLERK, row.id);
    }
    const history = await historyOf(record, row.id);
    expect(history).toHaveLength(HISTORY_MAX);
    expect(history[0]).toMatchObject({ raw: 'x' });
    let failed: unknown;
    for (let count = 0; count < HISTORY_MAX && failed === undefined; count++) {
      const now = await openMessage(record, CLERK, row.id);
      await setAside(record, now.row, { issues: [], attempts: 1 });
      failed = await replayMessage(record, CLERK, row.id, correct('z', 'r')).then(
        () => undefined,
        (thrown) => thrown,
      );
    }
    expect(failed).toMatchObject({ code: 'TOO_LARGE' });
    expect((await historyOf(record, row.id))[0]).toMatchObject({ raw: 'x' });
  });

  it('stays when the message is processed, and goes with its patient', async () => {
    const { record } = await openBench();
    const { row } = await refused(record, 'received', { subject: '' });
    await replayMessage(record, CLERK, row.id, correct('better', 'no number'));
    const now = await openMessage(record, CLERK, row.id);
    expect(now.history[0]?.keyId).toBe(row.body.keyId);
    const person = patient();
    await writeMapped(record, now, () => output(mapped(person)), 1);
    // The bytes turned out to be about a patient: they are under the patient's key from now on.
    const done = await openMessage(record, CLERK, row.id);
    expect(done.history[0]?.keyId).toBe(done.row.body.keyId);
    expect(done.history[0]?.keyId).not.toBe(row.body.keyId);
    expect(await historyOf(record, row.id)).toMatchObject([{ raw: 'received' }]);
    await forgetPatient(record, CLERK, done.row.compartment ?? '');
    await expect(openHistory(record, done.row, done.history)).resolves.toEqual([null]);
  });

  it('for another patient leaves the received bytes under the key of their own', async () => {
    const { record } = await openBench();
    const item = await refused(record, 'received');
    const envelope = { ...item.envelope, subject: `${SUBJECT}-other` };
    const options = { correction: { raw: Buffer.from('better'), envelope }, reason: 'r' };
    await replayMessage(record, CLERK, item.row.id, options);
    const now = await openMessage(record, CLERK, item.row.id);
    expect(now.row.body.keyId).not.toBe(item.row.body.keyId);
    expect(now.history[0]?.keyId).toBe(item.row.body.keyId);
  });
});

describe('a replay of an older message', () => {
  it('is refused after a newer one of the patient, unless it is forced or both go', async () => {
    const { record } = await openBench();
    const older = await refused(record, 'older', { controlId: 'A' });
    const newer = await receive(record, arrival('newer', { controlId: 'B' }));
    await writeMapped(record, newer, () => output(mapped(patient())), 1);
    const replay = (options = {}) => replayMessage(record, CLERK, older.row.id, options);
    await expect(replay()).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
    await expect(replay(correct('better', 'r'))).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
    await replay({ followedBy: new Set([newer.row.id]) });
    const now = await openMessage(record, CLERK, older.row.id);
    await setAside(record, now.row, { issues: [], attempts: 1 });
    await replay({ force: true });
    expect((await openMessage(record, CLERK, older.row.id)).row.state).toBe('received');
  });

  it('is not held back by itself, an older one or another patient', async () => {
    const { record } = await openBench();
    const first = await receive(record, arrival('first', { controlId: 'A' }));
    await writeMapped(record, first, () => output(mapped(patient())), 1);
    const last = await refused(record, 'last', { controlId: 'B' });
    await replayMessage(record, CLERK, last.row.id);
    await expect(replayMessage(record, CLERK, first.row.id)).resolves.toBeDefined();
  });
});
