// The MongoDB stand-in as a process of its own: whoever forked it calls its methods by messages.
// It ends with the process that started it.
import { startMongoStandIn } from '../support/mongo/server.ts';

const CALLS = ['fault', 'clearFaults', 'stepDown', 'down', 'crash', 'up', 'counts'] as const;

export interface StandInCall {
  id: number;
  name: (typeof CALLS)[number] | 'refused';
  values: unknown[];
}

async function serve(): Promise<void> {
  const standIn = await startMongoStandIn({ port: 0 });
  process.on('message', async ({ id, name, values }: StandInCall) => {
    const call = name === 'refused' ? () => standIn.refused : standIn[name].bind(standIn);
    process.send?.({ id, value: await Reflect.apply(call, standIn, values) });
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.({ id: 0, value: standIn.url });
}

if (import.meta.main) await serve();
