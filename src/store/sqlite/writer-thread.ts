// The thread that owns the writer connection: takes units from any number of clients, commits them
// in groups and answers. It also holds the folder's lock. It answers no reads.
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openWriter, translateError, type WriterTuning } from './connection.ts';
import { eraseOldCopies, GroupCommit, type GroupLimits, type Job } from './group-commit.ts';
import { lockFolder } from './lock.ts';
import { type PackedBatch, unpackBatch } from './pack.ts';
import { type CommitResults, type ThreadOrder, type ThreadReady, toFault } from './protocol.ts';
import { migrate } from './schema.ts';
import { refuseUnfinished } from './transfer-mark.ts';
import { WriterState } from './writer-state.ts';

export interface WriterData {
  folder: string;
  tuning: WriterTuning;
  limits: GroupLimits;
  admitUnfinished: boolean;
}

function start(parent: MessagePort, data: WriterData): void {
  const tell = (message: ThreadReady): void => parent.postMessage(message);
  try {
    const writer = openFolder(data);
    parent.on('message', (order: ThreadOrder) => {
      if (order.order === 'serve') writer.serve(order.port);
      else {
        writer.close();
        parent.close();
      }
    });
    tell({ ready: true });
  } catch (cause) {
    tell({ ready: false, fault: toFault(translateError(cause)) });
    parent.close();
  }
}

function openFolder(data: WriterData): { serve(port: MessagePort): void; close(): void } {
  const unlock = lockFolder(data.folder);
  try {
    const db = openWriter(data.folder, data.tuning);
    if (!data.admitUnfinished) refuseUnfinished(db);
    migrate(db);
    const state = new WriterState(db);
    eraseOldCopies(state);
    const clients = new Clients();
    const group = new GroupCommit(state, data.limits, () => clients.sendAnswers());
    return {
      serve: (port) => clients.serve(port, group),
      close: () => {
        group.drain();
        clients.close();
        state.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        db.close();
        unlock();
      },
    };
  } catch (cause) {
    unlock();
    throw cause;
  }
}

/** The ports that units come from; answers of a group go out as one message per port. */
class Clients {
  readonly #answers = new Map<MessagePort, CommitResults>();

  serve(port: MessagePort, group: GroupCommit): void {
    this.#answers.set(port, []);
    port.on('message', (packed: PackedBatch) => {
      const batch = unpackBatch(packed);
      group.take(batch.map(({ n, unit }) => this.#job(port, n, unit)));
    });
    port.on('close', () => this.#answers.delete(port));
  }

  sendAnswers(): void {
    for (const [port, answers] of this.#answers) {
      if (answers.length === 0) continue;
      port.postMessage(answers);
      this.#answers.set(port, []);
    }
  }

  close(): void {
    for (const port of this.#answers.keys()) port.close();
  }

  #job(port: MessagePort, n: number, unit: Job['unit']): Job {
    return { unit, answer: (outcome) => this.#answers.get(port)?.push({ n, outcome }) };
  }
}

// Last, when the classes above exist.
if (!isMainThread && parentPort) start(parentPort, workerData as WriterData);
