// Arrival order on the way into the store, when the store refuses: nothing overtakes what was sent
// before it on the same connection and has to be sent again.
import { describe, expect, it } from 'vitest';
import { type Accept, acceptInOrder } from '../../src/flow/arrival-order.ts';
import type { Principal } from '../../src/model/principal.ts';
import type { Arrival } from '../../src/record/accept.ts';
import { pause } from '../support/child.ts';

type Call = { names: string[]; end(fault?: Error): void };

const sender = (peer: string): Principal => {
  return { tenant: 'default', id: 'channel:adt', scopes: [], peer, patient: null };
};
const arrival = (orderingKey: string, id: string): Arrival => {
  const envelope = { tenant: 'default', orderingKey, id } as Arrival['envelope'];
  return { envelope, raw: new Uint8Array(1), verdict: 'received', issues: [] };
};

/** A store whose calls end when the test says so, and what became of each message sent. */
function openLine() {
  const calls: Call[] = [];
  const told: Record<string, string> = {};
  const accept: Accept = (_, items) =>
    new Promise((resolve, reject) => {
      const names = items.map(({ envelope }) => envelope.id);
      const receipts = items.map(() => ({ kind: 'accepted', seq: 1, orderingKey: '' }) as const);
      calls.push({ names, end: (fault) => (fault ? reject(fault) : resolve(receipts)) });
    });
  const inOrder = acceptInOrder(accept);
  return {
    told,
    /** Messages of one frame: key and name of each. */
    send(peer: string, ...items: [key: string, id: string][]) {
      const name = items.map(([, id]) => id).join('+');
      const arrivals = items.map(([key, id]) => arrival(key, id));
      const ended = inOrder(sender(peer), arrivals).then(
        () => 'stored',
        (thrown: Error) => thrown.message,
      );
      void ended.then((what) => {
        told[name] = what;
      });
    },
    /** The call that runs longest; throws when none does. */
    async next(): Promise<Call> {
      await pause(1);
      const call = calls.shift();
      if (call === undefined) throw new Error('nothing is being stored');
      return call;
    },
    async idle(): Promise<boolean> {
      await pause(1);
      return calls.length === 0;
    },
  };
}

const FAULT = new Error('refused');

describe('what is sent behind a message that the store refuses', () => {
  it('is refused too, on its connection and of its patient', async () => {
    const line = openLine();
    line.send('one', ['P', 'first']);
    for (const id of ['second', 'third']) line.send('one', ['P', id]);
    (await line.next()).end(FAULT);
    expect(await line.idle()).toBe(true);
    expect(line.told).toEqual({ first: 'refused', second: 'refused', third: 'refused' });
    line.send('one', ['P', 'first']);
    (await line.next()).end();
    await line.idle();
    expect(line.told.first).toBe('stored');
  });

  it('is stored when it is of another connection, or of another patient', async () => {
    const line = openLine();
    line.send('one', ['P', 'first']);
    line.send('one', ['P', 'second']);
    line.send('other', ['P', 'foreign']);
    line.send('one', ['Q', 'elsewhere']);
    const first = await line.next();
    (await line.next()).end();
    first.end(FAULT);
    const last = await line.next();
    expect(last.names).toEqual(['foreign']);
    last.end();
    await line.idle();
    const stored = { foreign: 'stored', elsewhere: 'stored' };
    expect(line.told).toEqual({ first: 'refused', second: 'refused', ...stored });
  });

  it('is refused with all of its frame, and what waits behind that', async () => {
    const line = openLine();
    line.send('other', ['Q', 'ahead']);
    line.send('one', ['P', 'first']);
    line.send('one', ['P', 'a'], ['Q', 'b']);
    line.send('one', ['Q', 'last']);
    const ahead = await line.next();
    (await line.next()).end(FAULT);
    expect(await line.idle()).toBe(true);
    ahead.end();
    expect(await line.idle()).toBe(true);
    const refused = { first: 'refused', 'a+b': 'refused', last: 'refused' };
    expect(line.told).toEqual({ ahead: 'stored', ...refused });
  });
});
