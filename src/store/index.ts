// The stores there are, by kind. A plain table: app.ts chooses, nothing else knows an adapter.
import { openSqliteStore } from './sqlite/open.ts';

export const STORES = {
  sqlite: openSqliteStore,
};
