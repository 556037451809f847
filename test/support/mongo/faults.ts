// Scripted faults: which command meets which fault, and when. What a fault does to a connection
// is in server.ts.
export interface Fault {
  /** Name of a command, or '*' for every command but the handshake's. */
  on: string;
  /** Only commands on this collection. */
  collection?: string;
  /** The first matching command that meets the fault, counted from now; default 1. */
  nth?: number;
  /** How many meet it in a row; default 1; Infinity = until clearFaults(). */
  times?: number;
  /**
   * lost-reply: applied, then the connection is cut. cut: cut before it is applied. half-open:
   * never applied, never answered, the connection stays. not-primary: 10107. slow: after `ms`.
   * full: 14031. write-conflict: 112. exceeded: 50 MaxTimeMSExpired. An answer that is an error
   * aborts the transaction of its command.
   */
  kind:
    | 'lost-reply'
    | 'cut'
    | 'half-open'
    | 'not-primary'
    | 'slow'
    | 'full'
    | 'write-conflict'
    | 'exceeded';
  ms?: number;
}

interface Armed {
  fault: Fault;
  /** Matching commands still to pass before it begins. */
  passes: number;
  left: number;
}

const QUIET = new Set(['hello', 'isMaster', 'ismaster', 'endSessions', 'buildInfo', 'ping']);

export class Faults {
  #armed: Armed[] = [];

  add(fault: Fault): void {
    this.#armed.push({ fault, passes: (fault.nth ?? 1) - 1, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#armed = [];
  }

  /** The fault that this command meets, if any; each armed fault counts it. */
  take(command: string, collection: string): Fault | undefined {
    let met: Fault | undefined;
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (fault.on !== command && (fault.on !== '*' || QUIET.has(command))) continue;
      if (fault.collection !== undefined && fault.collection !== collection) continue;
      if (armed.passes > 0) armed.passes--;
      else if (met === undefined) {
        armed.left--;
        met = fault;
      }
    }
    this.#armed = this.#armed.filter(({ left }) => left > 0);
    return met;
  }
}
