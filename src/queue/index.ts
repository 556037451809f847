// The queues there are, by kind. A plain table; what a kind needs is loaded when it is opened, so
// that the embedded engine starts without BullMQ and ioredis.
import { openLocalQueue } from './local.ts';

export const QUEUES = {
  local: openLocalQueue,
  bullmq: async (options: Parameters<typeof import('./bullmq.ts').openBullQueue>[0]) =>
    (await import('./bullmq.ts')).openBullQueue(options),
};

/** Beside a queue on Redis: a line for writers of one store. */
export const openLine = async (url: string) => (await import('./line.ts')).openLine({ url });
