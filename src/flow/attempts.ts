// Attempts at a message, counted in the store where there is reason to: after one that failed, and
// before one at a message that may have ended its process. A message that works the first time
// costs nothing here. docs/decisions/009 has the reasoning.
import type { ClinicalRecord } from '../record/context.ts';
import {
  countAttempts,
  type MessageRow,
  type OpenedMessage,
  type UnreadableMessage,
} from '../record/message.ts';

export type Waiting = OpenedMessage | UnreadableMessage;

/**
 * `free`: as any message. `counted`: the attempt is counted before it begins. `alone`: it is so,
 * and nothing else is worked on meanwhile. `over`: it has had its attempts.
 */
export type Care = 'free' | 'counted' | 'alone' | 'over';

/** One attempt; `count` is its number. It is stored already when the row has the same. */
export interface Trial {
  message: Waiting;
  count: number;
}

/** The first counted attempt is made beside others, so one attempt alone never is the last. */
const ATTEMPTS_MIN = 2;
/** Forgetting more makes them suspect: more care than is due, and nothing else. */
const OWN_MAX = 10_000;

export class Attempts {
  readonly #record: ClinicalRecord;
  /** Messages whose count this process stored; `open`: that attempt never came to a verdict. */
  readonly #own = new Map<string, 'ended' | 'open'>();

  constructor(record: ClinicalRecord) {
    this.#record = record;
  }

  /**
   * `suspect`: the process that worked on its key last did not come to an end with it. So is any
   * message whose attempts somebody else counted and left.
   */
  careFor(row: MessageRow, suspect: boolean, attemptsMax: number): Care {
    const known = row.attempts === 0 || this.#own.get(row.id) === 'ended';
    if (!suspect && known) return 'free';
    if (row.attempts === 0) return 'counted';
    const isOver = row.attempts >= Math.max(attemptsMax, ATTEMPTS_MIN) && !this.#isOpen(row);
    return isOver ? 'over' : 'alone';
  }

  /** Throws what countAttempts throws: the attempt must not be made then. */
  async begin(message: Waiting, care: Care): Promise<Trial> {
    const { row } = message;
    if (this.#isOpen(row)) return { message, count: row.attempts };
    const count = row.attempts + 1;
    if (care === 'free') return { message, count };
    return { message: { ...message, row: await countAttempts(this.#record, row, count) }, count };
  }

  /** It failed, and is to be tried again: a restart must not begin anew. */
  async failed({ message: { row }, count }: Trial): Promise<void> {
    if (row.attempts < count) await countAttempts(this.#record, row, count);
    this.#remember(row.id, 'ended');
  }

  /** Something else failed, the message is not to blame: an attempt counted already goes on. */
  interrupted({ message: { row }, count }: Trial): void {
    if (row.attempts === count) this.#remember(row.id, 'open');
  }

  /** The message has come to its end. */
  forget({ id }: MessageRow): void {
    this.#own.delete(id);
  }

  #isOpen({ id }: MessageRow): boolean {
    return this.#own.get(id) === 'open';
  }

  #remember(id: string, how: 'ended' | 'open'): void {
    if (this.#own.size >= OWN_MAX) this.#own.clear();
    this.#own.set(id, how);
  }
}
