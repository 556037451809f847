// The server under a fuzz run: a process of its own, watched for its end, for 5xx answers, for a
// main thread that does not answer, for messages that are not worked off, and for memory.
import { readFileSync } from 'node:fs';
import { type Child, pause, type Ready, settle, startChild } from '../support/child.ts';

export interface Watched {
  ready: Ready;
  /** What was found so far: one line each, without repetitions. */
  faults: string[];
  /** Notes a fault with the input that showed it. */
  report(what: string, input?: string | Uint8Array): void;
  /** Waits until all accepted messages came to their end. */
  settle(): Promise<void>;
  /** Resident memory of the process in MiB. */
  memoryMiB(): number;
  /** Longest time of /livez since the last call, less the delay of this process itself. */
  takeLongestMs(): number;
  stop(): Promise<void>;
}

/** Quiet limits: a fuzz run is one stranger, and must not be refused as one. */
const ENVIRONMENT = { ARTERY_LOG_LEVEL: 'warn' };

const LIVEZ_EVERY_MS = 50;
const INPUT_CHARS = 2_000;

export async function startWatched(folder: string, environment = {}): Promise<Watched> {
  const child = startChild(folder, { ...ENVIRONMENT, ...environment });
  const ready = await child.ready;
  const faults: string[] = [];
  let stopping = false;
  const report: Watched['report'] = (what, input) => {
    const shown = input === undefined ? '' : `: ${show(input)}`;
    if (!faults.some((fault) => fault.startsWith(what))) faults.push(what + shown);
  };
  void child.gone.then((how) => {
    if (!stopping) report(`the server ended (${how}): ${child.output().slice(-2_000)}`);
  });
  const beat = watchLiveness(ready.url);
  return {
    ready,
    faults,
    report,
    settle: () => settle(ready),
    memoryMiB: () => residentMiB(child.pid),
    takeLongestMs: beat.takeLongestMs,
    async stop() {
      beat.stop();
      stopping = true;
      await child.stop();
      for (const line of internalFaults(child)) report(`the log has ${line}`);
    },
  };
}

/** JSON escapes show what a terminal would not. */
function show(input: string | Uint8Array): string {
  const text = typeof input === 'string' ? input : Buffer.from(input).toString('latin1');
  return JSON.stringify(text.slice(0, INPUT_CHARS));
}

/** Events that tell of an exception that nobody expected, each place once. */
function internalFaults(child: Child): string[] {
  const lines = child.output().split('\n');
  const internal = lines.filter((line) => line.includes('"code":"INTERNAL"'));
  return [...new Map(internal.map((line) => [placesOf(line), line])).values()];
}

function placesOf(line: string): string {
  return /"places":"([^"]*)"/.exec(line)?.[1] ?? line;
}

function residentMiB(pid: number): number {
  const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) / 1_024;
}

function watchLiveness(url: string): { takeLongestMs(): number; stop(): void } {
  let longest = 0;
  let running = true;
  const run = async (): Promise<void> => {
    while (running) {
      const begun = performance.now();
      const own = ownDelay();
      try {
        await fetch(`${url}/livez`).then((answer) => answer.arrayBuffer());
      } catch {
        // The process's end is reported elsewhere.
      }
      longest = Math.max(longest, performance.now() - begun - own());
      await pause(LIVEZ_EVERY_MS);
    }
  };
  void run();
  return {
    takeLongestMs() {
      const taken = longest;
      longest = 0;
      return taken;
    },
    stop() {
      running = false;
    },
  };
}

/** How long this process itself could not run since the call: no fault of the server. */
function ownDelay(): () => number {
  let last = performance.now();
  let lost = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    lost += Math.max(0, now - last - 20);
    last = now;
  }, 10);
  return () => {
    clearInterval(timer);
    return lost + Math.max(0, performance.now() - last - 20);
  };
}
