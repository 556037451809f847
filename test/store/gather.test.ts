// Reads by id that go together as one query.
import { describe, expect, it } from 'vitest';
import { gather } from '../../src/store/mongo/gather.ts';

describe('gather', () => {
  const open = (idsMax = 100) => {
    const queries: string[][] = [];
    const read = gather(async (ids) => {
      queries.push(ids);
      if (ids.includes('broken')) throw new Error('no answer');
      return new Map(ids.filter((id) => id !== 'absent').map((id) => [id, id.toUpperCase()]));
    }, idsMax);
    return { queries, read };
  };

  it('asks once for the ids of one turn, each once', async () => {
    const { queries, read } = open();
    const found = await Promise.all(['a', 'b', 'a', 'absent'].map(read));
    expect(found).toEqual(['A', 'B', 'A', undefined]);
    expect(queries).toEqual([['a', 'b', 'absent']]);
  });

  it('asks anew in a later turn: what was read is not kept', async () => {
    const { queries, read } = open();
    await read('a');
    await read('a');
    expect(queries).toEqual([['a'], ['a']]);
  });

  it('sends no more than the bound at once', async () => {
    const { queries, read } = open(2);
    expect(await Promise.all(['a', 'b', 'c'].map(read))).toEqual(['A', 'B', 'C']);
    expect(queries).toEqual([['a', 'b'], ['c']]);
  });

  it('tells a fault to all who asked, and to nobody else', async () => {
    const { read } = open();
    const told = await Promise.allSettled(['a', 'broken'].map(read));
    expect(told.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await read('a')).toBe('A');
  });
});
