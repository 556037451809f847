// The SQLite store keeps the contract; what is special to it is in the files beside this one.

import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { storeContract } from '../contract/store.ts';
import { temporaryFolder } from './folder.ts';

const folder = temporaryFolder();
let backups = 0;

storeContract('sqlite', {
  open: () => openSqliteStore({ folder: folder.path('data') }),
  newBackupFolder: async () => {
    backups += 1;
    return folder.path(`backup-${backups}`);
  },
  openBackup: (path) => openSqliteStore({ folder: path }),
  clean: async () => folder.remove(),
});
