// A process that is made to be killed: opens the store, commits units without end and prints the
// number of each one that was acknowledged. Arguments: folder, first number.
import { writeSync } from 'node:fs';
import type { Unit } from '../../src/store/port.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { message, resource, T0, token } from '../support/store-units.ts';

const IN_FLIGHT = 16;

/** Everything of unit `n` has its number in it; `first` is written by all of a process. */
export function crashUnit(n: number): Unit {
  const set = { tokens: [token('all')], ranges: [{ param: 'n', low: n, high: n }] };
  return {
    tenant: 'crash',
    intake: [message({ id: `m${n}`, dedupe: `d${n}`, receivedAt: T0 + n })],
    resources: [resource(`a${n}`, set), resource(`b${n}`, set)],
    audit: [
      { at: T0 + n, entry: `{"n":${n}}` },
      { at: T0 + n, entry: `{"n":${n}}` },
    ],
  };
}

async function writeForever(folder: string, first: number): Promise<void> {
  const store = await openSqliteStore({ folder, checkpointPages: 200 });
  tell('open\n');
  let next = first;
  const lane = async (): Promise<void> => {
    for (;;) {
      const n = next++;
      await store.commit(crashUnit(n));
      tell(`${n}\n`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

/** At once, as what is killed in the next moment has to; a pipe that is full is tried again. */
function tell(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') throw thrown;
    }
  }
}

const [, script, folder, first] = process.argv;
if (script?.endsWith('crash-writer.ts') && folder) await writeForever(folder, Number(first));
