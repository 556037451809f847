// Opens a data folder: starts the writer and the reader thread, and joins them as a client of this
// thread. The only file that starts and stops the store's threads.
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { EngineError } from '../../model/errors.ts';
import type { Store } from '../port.ts';
import { openSqliteClient } from './client.ts';
import { translateError } from './connection.ts';
import { fromFault, type ThreadOrder, type ThreadReady, type Welcome } from './protocol.ts';
import type { ReaderData } from './reader-thread.ts';
import type { WriterData } from './writer-thread.ts';

export interface SqliteOptions {
  /** Made (mode 0700) where it is absent. */
  folder: string;
  /** Units in one transaction. */
  groupUnitsMax?: number;
  /** Bytes of bodies in one transaction. */
  groupBytesMax?: number;
  /** WAL pages (4 KiB) after which a commit moves them into the database. */
  checkpointPages?: number;
  /** Largest size of the database in pages of 4 KiB, 0 = as the disk allows. */
  pagesMax?: number;
  /** Calls of one client that may be under way at once. */
  callsMax?: number;
  /** Bytes of bodies in units of one client that may be under way at once. */
  bytesMax?: number;
  /** Opens the target of an unfinished copy too: for the last checks of the copy itself. */
  admitUnfinished?: boolean;
}

export interface SqliteStore extends Store {
  /**
   * A port for `openSqliteClient` in another thread, which then commits through the same writer.
   * Transfer it (`workerData` with `transferList`, or postMessage). Close those clients first.
   */
  connect(): MessagePort;
}

const DEFAULTS = {
  groupUnitsMax: 512,
  groupBytesMax: 16 * 1024 * 1024,
  checkpointPages: 10_000,
  pagesMax: 0,
  admitUnfinished: false,
};

/**
 * Opens the folder for this process alone; takes over what a killed process left. Throws
 * STORE_LOCKED when another store has it open, STORE_NEWER or STORE_CORRUPT when it cannot be read.
 */
export async function openSqliteStore(options: SqliteOptions): Promise<SqliteStore> {
  const { folder, groupUnitsMax, groupBytesMax, checkpointPages, pagesMax, admitUnfinished } = {
    ...DEFAULTS,
    ...options,
  };
  const writerData: WriterData = {
    folder,
    tuning: { checkpointPages, pagesMax },
    limits: { unitsMax: groupUnitsMax, bytesMax: groupBytesMax },
    admitUnfinished,
  };
  const threads = [await startThread('./writer-thread.ts', writerData)];
  try {
    threads.unshift(await startThread('./reader-thread.ts', { folder } satisfies ReaderData));
    return assemble(options, threads);
  } catch (cause) {
    for (const thread of threads) await stopThread(thread);
    throw translateError(cause);
  }
}

/** `threads`: reader and writer, in the order in which they stop. */
function assemble(options: SqliteOptions, threads: Worker[]): SqliteStore {
  const connect = (): MessagePort => connectClient(threads);
  const client = openSqliteClient({ ...options, port: connect() });
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await client.close();
    for (const thread of threads) await stopThread(thread);
  };
  return {
    intake: client.intake,
    resources: client.resources,
    search: client.search,
    audit: client.audit,
    keys: client.keys,
    commit: (unit) => client.commit(unit),
    probe: () => client.probe(),
    backup: (folder) => client.backup(folder),
    connect: () => {
      if (closed) throw new EngineError('CLOSING');
      return connect();
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

/** The port leads to the writer; its first message brings the port of the reader. */
function connectClient([reader, writer]: Worker[]): MessagePort {
  if (!reader || !writer) throw new Error('a thread of the store is not running');
  const toWriter = new MessageChannel();
  const toReader = new MessageChannel();
  toWriter.port2.postMessage({ reader: toReader.port1 } satisfies Welcome, [toReader.port1]);
  serve(writer, toWriter.port2);
  serve(reader, toReader.port2);
  return toWriter.port1;
}

function serve(thread: Worker, port: MessagePort): void {
  thread.postMessage({ order: 'serve', port } satisfies ThreadOrder, [port]);
}

/** Resolves when the thread has opened the folder. */
function startThread(file: string, workerData: WriterData | ReaderData): Promise<Worker> {
  const thread = new Worker(new URL(file, import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    thread.once('message', (message: ThreadReady) => {
      if (message.ready) resolve(thread);
      else reject(fromFault(message.fault));
    });
    // Also after the start: a thread that dies closes its ports, and that fails its clients' calls.
    thread.on('error', (cause) => {
      reject(new EngineError('STORE_UNAVAILABLE', 'A thread of the store failed.', { cause }));
    });
  });
}

/** Lets the thread finish what it took. */
function stopThread(thread: Worker): Promise<void> {
  // A thread that has ended already has no id and tells nothing any more.
  if (thread.threadId < 0) return Promise.resolve();
  const gone = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
  thread.postMessage({ order: 'close' } satisfies ThreadOrder);
  return gone;
}
