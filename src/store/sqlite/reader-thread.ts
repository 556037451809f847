// The thread for reads that may take long: searches, history, lists and counts. It cannot write.
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { tableOf } from '../../model/table.ts';
import { type Connection, openReader, translateError } from './connection.ts';
import { countMatches, findResources } from './find.ts';
import { countIntake, listMessages, listWaiting, oldestWaiting } from './intake-reads.ts';
import {
  auditCheckpoints,
  auditEntries,
  auditTenants,
  listCredentials,
  listKeys,
} from './ledger-reads.ts';
import {
  type ReadRequest,
  type ReadResult,
  type ThreadOrder,
  type ThreadReady,
  toFault,
} from './protocol.ts';
import { countResources, listHistory } from './resource-reads.ts';

/** What clients may ask for; each takes the connection first. */
export const SLOW_READS = tableOf({
  findResources,
  countMatches,
  countIntake,
  oldestWaiting,
  listMessages,
  listWaiting,
  auditCheckpoints,
  auditEntries,
  auditTenants,
  listCredentials,
  listKeys,
  countResources,
  listHistory,
});

export interface ReaderData {
  folder: string;
}

function start(parent: MessagePort, { folder }: ReaderData): void {
  const tell = (message: ThreadReady): void => parent.postMessage(message);
  try {
    const db = openReader(folder);
    const ports = new Set<MessagePort>();
    parent.on('message', (order: ThreadOrder) => {
      if (order.order === 'serve') serve(db, order.port, ports);
      else {
        for (const port of ports) port.close();
        db.close();
        parent.close();
      }
    });
    tell({ ready: true });
  } catch (cause) {
    tell({ ready: false, fault: toFault(translateError(cause)) });
    parent.close();
  }
}

function serve(db: Connection, port: MessagePort, ports: Set<MessagePort>): void {
  ports.add(port);
  port.on('message', (request: ReadRequest) => port.postMessage(answer(db, request)));
  port.on('close', () => ports.delete(port));
}

function answer(db: Connection, { n, method, args }: ReadRequest): ReadResult {
  try {
    const read = SLOW_READS[method as keyof typeof SLOW_READS] as (
      db: Connection,
      ...args: unknown[]
    ) => unknown;
    return { n, outcome: { kind: 'done', value: read(db, ...args) } };
  } catch (cause) {
    return { n, outcome: { kind: 'fault', fault: toFault(translateError(cause)) } };
  }
}

// Last, when the classes above exist.
if (!isMainThread && parentPort) start(parentPort, workerData as ReaderData);
