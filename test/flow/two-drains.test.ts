// Two drains of the same keys that know nothing of each other and stall inside their commits, as
// after a lost lease, while an operator corrects and replays: each life of a message has one end,
// of its own bytes, and first ends come in arrival order. docs/decisions/006 says why.
import { afterAll, describe, expect, it } from 'vitest';
import { type AuditEntry, parseEntry } from '../../src/audit/entry.ts';
import { EngineError } from '../../src/model/errors.ts';
import type { Principal } from '../../src/model/principal.ts';
import { listMessages, openMessage } from '../../src/record/message.ts';
import { replayMessage } from '../../src/record/replay.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store } from '../../src/store/port.ts';
import { pause } from '../support/child.ts';
import { removeFolders } from '../support/engine.ts';
import {
  type Commit,
  type FlowBench,
  openFlowBench,
  type Pipeline,
} from '../support/flow-bench.ts';
import { adt } from '../support/messages.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import { randomFrom } from '../support/store-units.ts';

afterAll(removeFolders);

const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);
const KEYS = 6;
const EACH = 12;
const REPLAYS = 150;
const OPERATOR: Principal = { tenant: 'default', id: 'test', scopes: [], peer: '', patient: null };

type Random = () => number;

/** Before a commit, after it, or both: mostly short, now and then until all others went by. */
function stalling(next: Commit, random: Random): Commit {
  const stall = () => pause(random() < 0.15 ? 40 + random() * 120 : random() * 4);
  return async (unit) => {
    if (unit.transitions !== undefined && random() < 0.6) await stall();
    const committed = await next(unit);
    if (unit.transitions !== undefined && random() < 0.3) await stall();
    return committed;
  };
}

/** What one drain can do, the other may fail at: for good, or for now. */
function failing(run: Pipeline, random: Random): Pipeline {
  return (input) => {
    const dice = random();
    if (dice < 0.15) throw new EngineError('INVALID_CONTENT', 'Made to fail by the test.');
    if (dice < 0.25) throw new EngineError('PEER_UNAVAILABLE', 'Made to fail by the test.');
    return run(input);
  };
}

function openBench(random: Random, store?: Store): Promise<FlowBench> {
  return openFlowBench({
    workers: 2,
    deaf: true,
    ...(store !== undefined && { store }),
    commit: (next) => stalling(next, random),
    pipeline: (run) => failing(run, random),
  });
}

async function feed(bench: FlowBench): Promise<void> {
  for (let n = 0; n < EACH; n += 1) {
    for (let key = 0; key < KEYS; key += 1) {
      await bench.send(adt({ pid: `T${key}`, family: `First-${key}-${n}`, event: 'A08' }));
    }
  }
}

/** Replays messages that have ended, with other bytes each time: soon after, and long after. */
async function correct(bench: FlowBench, random: Random): Promise<void> {
  for (let done = 0; done < REPLAYS; ) {
    await pause(5);
    const rows = await listMessages(bench.record, 'default', {}, KEYS * EACH);
    const ended = rows.filter(({ state }) => state !== 'received');
    const latest = ended.toSorted((a, b) => b.changedAt.localeCompare(a.changedAt));
    const chosen = latest[Math.floor(random() ** 3 * latest.length)];
    if (chosen === undefined) continue;
    const { raw } = await openMessage(bench.record, OPERATOR, chosen.id);
    done += 1;
    const text = Buffer.from(raw).toString('latin1');
    const better = Buffer.from(text.replace(/(First|Later\w*)-/, `Later${done}x-`));
    const correction = { raw: better };
    await replayMessage(bench.record, OPERATOR, chosen.id, { correction, force: true });
  }
}

async function actsOf(store: Store): Promise<AuditEntry[]> {
  const rows = await store.audit.entries('default', 1, 10_000);
  const acts = ['receive', 'transform', 'set-aside', 'replay'];
  return rows.map(({ entry }) => parseEntry(entry)).filter(({ action }) => acts.includes(action));
}

/** Offences against: one end per life, and of the bytes that this life began with. */
function checkLives(acts: AuditEntry[]): string[] {
  const begun = new Map<string, string | undefined>();
  return acts.flatMap(({ action, message = '', input }) => {
    if (action === 'receive' || action === 'replay') {
      const offence = begun.has(message) ? [`${message} began twice`] : [];
      begun.set(message, input);
      return offence;
    }
    if (!begun.has(message)) return [`${message} ended twice`];
    const isOwn = action === 'set-aside' || begun.get(message) === input;
    begun.delete(message);
    return isOwn ? [] : [`${message} ended by the bytes of an earlier life`];
  });
}

/** Messages of each key in the order of their first ends. */
async function firstEnds(bench: FlowBench, acts: AuditEntry[]): Promise<number[][]> {
  const keys = new Map<string, number[]>();
  const seen = new Set<string>();
  for (const { action, message = '' } of acts) {
    if (action === 'receive' || seen.has(message)) continue;
    seen.add(message);
    const row = await bench.store.intake.get('default', message);
    if (row === undefined) throw new Error('a message is gone');
    keys.set(row.orderingKey, [...(keys.get(row.orderingKey) ?? []), row.seq]);
  }
  return [...keys.values()];
}

async function check(bench: FlowBench, random: Random): Promise<void> {
  await Promise.all([feed(bench), correct(bench, random)]);
  await bench.ended(KEYS * EACH);
  const acts = await actsOf(bench.store);
  expect(checkLives(acts), `seed ${seed}`).toEqual([]);
  const orders = await firstEnds(bench, acts);
  expect(orders).toHaveLength(KEYS);
  for (const seqs of orders) {
    expect(seqs, `seed ${seed}`).toEqual(seqs.toSorted((one, other) => one - other));
    expect(seqs).toHaveLength(EACH);
  }
  const transforms = acts.filter(({ action }) => action === 'transform').length;
  const versions = await bench.store.resources.history('default', { type: 'Patient' }, 10_000);
  expect(versions, `seed ${seed}`).toHaveLength(transforms);
}

describe(`two drains of one key (seed ${seed})`, () => {
  it('have the effects and the order of one, over SQLite', async () => {
    const random = randomFrom(seed);
    const bench = await openBench(random);
    await check(bench, random);
    await bench.close();
  }, 120_000);

  it('have the effects and the order of one, over MongoDB (the stand-in)', async () => {
    const mongo = await startMongoStandIn({ port: 0 });
    const opened = await openMongoStore({ url: mongo.url });
    const { intake, resources, search, audit, keys } = opened;
    const store: Store = {
      ...{ intake, resources, search, audit, keys },
      commit: (unit) => opened.commit(unit),
      probe: () => opened.probe(),
      backup: (folder) => opened.backup(folder),
      close: () => opened.close(),
    };
    const random = randomFrom(seed + 1);
    const bench = await openBench(random, store);
    await check(bench, random);
    await bench.close();
    await mongo.stop();
  }, 120_000);
});
