// A process that moves a store, to be killed: it prints a line per page.
// Arguments: from and to (a folder, or `database:<name>`), and the url of MongoDB.
import { copyRows } from '../../src/store/copy.ts';
import { openMongoTransfer } from '../../src/store/mongo/transfer.ts';
import { openSqliteTransfer } from '../../src/store/sqlite/transfer.ts';
import type { Transfer, TransferUse } from '../../src/store/transfer.ts';

const [from = '', to = '', url = ''] = process.argv.slice(2);

function open(place: string, use: TransferUse): Promise<Transfer> {
  const database = /^database:(.+)/.exec(place)?.[1];
  return database === undefined
    ? openSqliteTransfer(place, use)
    : openMongoTransfer({ url, database, use });
}

const source = await open(from, 'source');
const target = await open(to, 'target');
const tell = ({ phase }: { phase: string }) => void process.stdout.write(`${phase}\n`);
await copyRows(source, target, { rowsMax: 2, tell });
await target.admit();
await target.close();
await source.close();
