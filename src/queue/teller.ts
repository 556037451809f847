// Gathers wake-ups and lets them leave in pieces, each key once: those of one turn of the event
// loop together, those of a long sweep one after the other. What cannot leave is dropped, counted.
import type { Wake } from './port.ts';

export interface TellerOptions {
  /** Wake-ups that may be gathered or under way; those beyond are dropped. */
  waitingMax: number;
  /** Whether sending has a chance now. */
  reachable(): boolean;
  send(wakes: [id: string, wake: Wake][]): Promise<unknown>;
  dropped(count: number): void;
}

export interface Teller {
  tell(id: string, wake: Wake): void;
  /** Sends what is gathered; resolves when nothing is under way. */
  finish(): Promise<void>;
}

/** Wake-ups in one call, and calls under way at once: Redis answers others in between. */
const PIECE_MAX = 256;
const PIECES_MAX = 16;

export function openTeller(options: TellerOptions): Teller {
  const gathered = new Map<string, Wake>();
  const leaving = new Set<Promise<void>>();
  const flush = () => {
    while (gathered.size > 0 && leaving.size < PIECES_MAX) {
      const sent = send(takePiece(gathered), options);
      leaving.add(sent);
      void sent.then(() => {
        leaving.delete(sent);
        flush();
      });
    }
  };
  return {
    tell(id, wake) {
      if (gathered.has(id)) return;
      const room = gathered.size + leaving.size * PIECE_MAX < options.waitingMax;
      if (!room || !options.reachable()) {
        options.dropped(1);
        return;
      }
      gathered.set(id, wake);
      if (gathered.size === 1) setImmediate(flush);
    },
    async finish() {
      flush();
      while (leaving.size > 0) await Promise.all(leaving);
    },
  };
}

function takePiece(gathered: Map<string, Wake>): [string, Wake][] {
  const piece: [string, Wake][] = [];
  for (const entry of gathered) {
    piece.push(entry);
    gathered.delete(entry[0]);
    if (piece.length === PIECE_MAX) break;
  }
  return piece;
}

async function send(piece: [string, Wake][], options: TellerOptions): Promise<void> {
  try {
    await options.send(piece);
  } catch {
    options.dropped(piece.length);
  }
}
