// The tampering matrix: whatever is done to a chain, the first bad entry is named.
import { describe, expect, it } from 'vitest';
import { linkHash, ZERO_HASH } from '../../src/audit/chain.ts';
import { entryText, parseEntry, versionRef } from '../../src/audit/entry.ts';
import { type ChainRow, entryKeys, type KnownPoint, walkChain } from '../../src/audit/verify.ts';

const COUNT = 10;

/** A chain of entries that write Patient/1 .. Patient/COUNT, version 1. */
function makeChain(names = Array.from({ length: COUNT }, (_, n) => String(n + 1))): ChainRow[] {
  let hash = ZERO_HASH;
  return names.map((name, index) => {
    const resources = [versionRef('Patient', name, 1)];
    const entry = entryText({ action: 'create', outcome: 'success', who: 'clerk', resources });
    const seq = index + 1;
    const at = 1_000 + seq;
    hash = linkHash(hash, seq, at, entry);
    return { seq, at, entry, hash };
  });
}

const good = makeChain();
const tail = good[COUNT - 1] ?? { seq: 0, hash: '' };

interface Checked {
  rows: ChainRow[];
  points?: KnownPoint[];
  head?: { seq: number; hash: string };
  mustAppear?: string[];
}

function check({ rows, points = [], head, mustAppear = [] }: Checked) {
  const walk = walkChain(points, new Set(mustAppear));
  for (const row of rows) {
    const fault = walk.take(row);
    if (fault !== undefined) return fault;
  }
  return walk.finish(head ?? walk.position());
}

function point(seq: number, hash = good[seq - 1]?.hash ?? ''): KnownPoint {
  return { seq, hash, signatureValid: true };
}

function edit(at: number, change: Partial<ChainRow>): ChainRow[] {
  return good.map((row) => (row.seq === at ? { ...row, ...change } : row));
}

describe('a chain as it was written', () => {
  it.each([
    { name: 'alone', checked: { rows: good } },
    { name: 'with checkpoints', checked: { rows: good, points: [point(3), point(10), point(7)] } },
    { name: 'with its head', checked: { rows: good, head: tail } },
    { name: 'empty', checked: { rows: [], head: { seq: 0, hash: ZERO_HASH } } },
    {
      name: 'with all that must appear',
      checked: { rows: good, mustAppear: good.map(({ seq }) => `Patient/${seq}/_history/1`) },
    },
  ])('verifies: $name', ({ checked }) => {
    expect(check(checked)).toBeUndefined();
  });
});

const other = entryText({ action: 'read', outcome: 'success', who: 'intruder' });
const swapped = good.map((row) => {
  if (row.seq === 4) return { ...row, entry: good[4]?.entry ?? '' };
  if (row.seq === 5) return { ...row, entry: good[3]?.entry ?? '' };
  return row;
});
const rewritten = makeChain(['1', '2', '3', '4', 'forged', '6', '7', '8', '9', '10']);
const cut = good.slice(0, 7);
const cutHead = good[6] ?? tail;

describe('a chain that was tampered with', () => {
  it.each([
    { name: 'edited text', checked: { rows: edit(4, { entry: other }) }, seq: 4, why: /edited/ },
    { name: 'edited time', checked: { rows: edit(4, { at: 1 }) }, seq: 4, why: /edited/ },
    { name: 'edited hash', checked: { rows: edit(4, { hash: ZERO_HASH }) }, seq: 4, why: /edited/ },
    { name: 'not JSON', checked: { rows: edit(4, { entry: '{' }) }, seq: 4, why: /edited/ },
    {
      name: 'edited with a fitting hash',
      checked: {
        rows: edit(4, { entry: other, hash: linkHash(good[2]?.hash ?? '', 4, 1_004, other) }),
      },
      seq: 5,
      why: /edited/,
    },
    {
      name: 'deleted',
      checked: { rows: good.filter(({ seq }) => seq !== 4) },
      seq: 4,
      why: /deleted/,
    },
    { name: 'first deleted', checked: { rows: good.slice(1) }, seq: 1, why: /deleted/ },
    {
      name: 'deleted and renumbered',
      checked: {
        rows: good
          .filter(({ seq }) => seq !== 4)
          .map((row) => (row.seq > 4 ? { ...row, seq: row.seq - 1 } : row)),
      },
      seq: 4,
      why: /edited/,
    },
    {
      name: 'inserted twice',
      checked: { rows: [...good.slice(0, 4), ...good.slice(3)] },
      seq: 4,
      why: /twice/,
    },
    {
      name: 'inserted and renumbered',
      checked: {
        rows: [
          ...good.slice(0, 3),
          { seq: 4, at: 1, entry: other, hash: linkHash(good[2]?.hash ?? '', 4, 1, other) },
          ...good.slice(3).map((row) => ({ ...row, seq: row.seq + 1 })),
        ],
      },
      seq: 5,
      why: /inserted/,
    },
    { name: 'reordered', checked: { rows: swapped }, seq: 4, why: /reordered/ },
    {
      name: 'rewritten whole, between two checkpoints',
      checked: { rows: rewritten, points: [point(3), point(8)] },
      seq: 4,
      why: /rewritten between entries 4 and 8/,
    },
    {
      name: 'a checkpoint that is not genuine',
      checked: { rows: good, points: [{ ...point(3), signatureValid: false }] },
      seq: 3,
      why: /not genuine/,
    },
    {
      name: 'cut, by a checkpoint',
      checked: { rows: cut, points: [point(9)] },
      seq: 8,
      why: /cut/,
    },
    { name: 'cut, by its head', checked: { rows: cut, head: tail }, seq: 8, why: /cut/ },
    {
      name: 'cut, by a resource without entry',
      checked: { rows: cut, head: cutHead, mustAppear: ['Patient/9/_history/1'] },
      seq: 8,
      why: /no entry for Patient\/9/,
    },
    { name: 'all deleted', checked: { rows: [], head: tail }, seq: 1, why: /cut/ },
  ])('is found out: $name', ({ checked, seq, why }) => {
    const fault = check(checked);
    expect(fault?.seq).toBe(seq);
    expect(fault?.reason).toMatch(why);
  });
});

describe('an entry', () => {
  it('has one text: members in a fixed order, empty ones left out', () => {
    const one = entryText({ who: 'a', outcome: 'success', action: 'read', resources: [], map: '' });
    const two = entryText({ action: 'read', outcome: 'success', who: 'a', channel: undefined });
    expect(one).toBe('{"action":"read","outcome":"success","who":"a"}');
    expect(two).toBe(one);
    expect(parseEntry(one)).toEqual({ action: 'read', outcome: 'success', who: 'a' });
  });

  it('has a bounded detail', () => {
    const entry = {
      action: 'deny',
      outcome: 'failure',
      who: 'a',
      detail: 'x'.repeat(9_999),
    } as const;
    expect(entryText(entry).length).toBeLessThan(400);
  });

  it.each(['', 'null', '{}', '[]', '{"action":"fly","who":"a"}', '{"action":"read"}'])(
    'is not %j',
    (text) => {
      expect(() => parseEntry(text)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }));
    },
  );

  it('vouches for writes only when it is one', () => {
    const base = { outcome: 'success', who: 'a', resources: ['Patient/1/_history/1'] } as const;
    expect(entryKeys({ ...base, resources: [...base.resources], action: 'read' })).toEqual([]);
    expect(entryKeys({ ...base, resources: [...base.resources], action: 'update' })).toHaveLength(
      1,
    );
  });
});
