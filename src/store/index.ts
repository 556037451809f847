// The stores there are, by kind. A plain table; MongoDB's driver is loaded when its kind is opened,
// so that the embedded engine starts without it.
import { openSqliteStore } from './sqlite/open.ts';
import { openSqliteTransfer } from './sqlite/transfer.ts';

export const STORES = {
  sqlite: openSqliteStore,
  mongodb: async (options: Parameters<typeof import('./mongo/open.ts').openMongoStore>[0]) =>
    (await import('./mongo/open.ts')).openMongoStore(options),
};

/** The same, opened to be moved from or to. */
export const TRANSFERS = {
  sqlite: openSqliteTransfer,
  mongodb: async (options: Parameters<typeof import('./mongo/transfer.ts').openMongoTransfer>[0]) =>
    (await import('./mongo/transfer.ts')).openMongoTransfer(options),
};
