// How many messages of a channel are worked on at once in this process, and how many per second:
// `work` of the channel file. A key that finds no place gives its worker back and is woken when it
// has a chance; until then its wake-ups are answered from memory.
import type { Channel } from '../model/channel.ts';
import type { Wake } from '../queue/port.ts';

export interface Places {
  /** The key waits for a place: there is nothing to do for it now. */
  isWaiting(wake: Wake): boolean;
  /**
   * Takes a place for the next message of the key, which is of this channel; a place that it has
   * is kept, one of another channel given back. False: there is none, the key is woken later.
   */
  take(wake: Wake, channel: string): boolean;
  /** Others wait for the place that the key has. */
  isSought(wake: Wake): boolean;
  /** The key's drain is over: its place is free. */
  leave(wake: Wake): void;
  /** Keys that wait for a place. */
  waiting(): number;
  /** Wakes nobody any more. */
  close(): void;
}

interface Line {
  /** Keys that have a place. */
  active: number;
  /** In the order in which they found none. */
  waiting: Map<string, Wake>;
  /** Woken and not here yet: so many places need not be offered again for a while. */
  called: Set<string>;
  calledAt: number;
  /** Messages that may begin now, and when that was reckoned (`now()`). */
  tokens: number;
  filledAt: number;
  timer: NodeJS.Timeout | undefined;
}

type Limits = Pick<Channel, 'work'> | undefined;

/** A woken key that has not come by then may have gone to another process: the next is woken. */
const CALL_MS = 1_000;
/** Share of a second's messages that may begin at once after a pause. */
const BURST = 0.1;

export function openPlaces(
  channelOf: (name: string) => Limits,
  wake: (wake: Wake) => void,
  now: () => number = () => performance.now(),
): Places {
  return new ChannelPlaces(channelOf, wake, now);
}

class ChannelPlaces implements Places {
  readonly #channelOf: (name: string) => Limits;
  readonly #wake: (wake: Wake) => void;
  readonly #now: () => number;
  readonly #lines = new Map<string, Line>();
  /** Channel in which a key has its place. */
  readonly #held = new Map<string, string>();
  /** Channel for which a key waits. */
  readonly #parked = new Map<string, string>();

  constructor(channelOf: (name: string) => Limits, wake: (wake: Wake) => void, now: () => number) {
    this.#channelOf = channelOf;
    this.#wake = wake;
    this.#now = now;
  }

  isWaiting(wake: Wake): boolean {
    return this.#parked.size > 0 && this.#parked.has(keyOf(wake));
  }

  take(wake: Wake, channel: string): boolean {
    const limits = this.#channelOf(channel)?.work;
    const isLimited = limits?.concurrency !== undefined || limits?.ratePerSecond !== undefined;
    if (!isLimited && this.#held.size === 0) return true;
    const key = keyOf(wake);
    const held = this.#held.get(key);
    if (held !== undefined && (held !== channel || !isLimited)) this.#giveBack(key, held);
    if (!isLimited) return true;
    const line = this.#lineOf(channel);
    line.called.delete(key);
    this.#fill(line, limits?.ratePerSecond);
    const room = held === channel || line.active < (limits?.concurrency ?? Infinity);
    if (room && line.tokens >= 1) {
      if (held !== channel) line.active += 1;
      this.#held.set(key, channel);
      line.tokens -= 1;
      return true;
    }
    line.waiting.set(key, wake);
    this.#parked.set(key, channel);
    if (held === channel) this.#giveBack(key, channel);
    else this.#call(channel, line);
    return false;
  }

  isSought(wake: Wake): boolean {
    const channel = this.#held.get(keyOf(wake));
    return channel !== undefined && this.#lineOf(channel).waiting.size > 0;
  }

  leave(wake: Wake): void {
    if (this.#held.size === 0) return;
    const key = keyOf(wake);
    const channel = this.#held.get(key);
    if (channel !== undefined) this.#giveBack(key, channel);
  }

  waiting(): number {
    return this.#parked.size;
  }

  close(): void {
    for (const line of this.#lines.values()) {
      clearTimeout(line.timer);
      line.waiting.clear();
    }
    this.#parked.clear();
  }

  #giveBack(key: string, channel: string): void {
    this.#held.delete(key);
    const line = this.#lineOf(channel);
    line.active -= 1;
    this.#call(channel, line);
  }

  /** Wakes as many of those that wait as could begin now, and sees to it that it is asked again. */
  #call(channel: string, line: Line): void {
    clearTimeout(line.timer);
    if (line.waiting.size === 0) return;
    const limits = this.#channelOf(channel)?.work;
    const now = this.#now();
    if (now - line.calledAt >= CALL_MS) line.called.clear();
    this.#fill(line, limits?.ratePerSecond);
    const places = (limits?.concurrency ?? Infinity) - line.active;
    let chances = Math.min(places, Math.floor(line.tokens)) - line.called.size;
    for (const [key, wake] of line.waiting) {
      if (chances < 1) break;
      chances -= 1;
      line.waiting.delete(key);
      this.#parked.delete(key);
      line.called.add(key);
      line.calledAt = now;
      this.#wake(wake);
    }
    if (line.waiting.size === 0) return;
    const againMs = this.#msToToken(line, limits?.ratePerSecond);
    line.timer = setTimeout(() => this.#call(channel, line), againMs);
    line.timer.unref();
  }

  #msToToken(line: Line, rate: number | undefined): number {
    if (rate === undefined) return CALL_MS;
    const missing = Math.max(0, 1 + line.called.size - line.tokens);
    return Math.min(CALL_MS, Math.max(1, Math.ceil((missing * 1_000) / rate)));
  }

  #fill(line: Line, rate: number | undefined): void {
    const now = this.#now();
    const made = rate === undefined ? Infinity : ((now - line.filledAt) * rate) / 1_000;
    line.tokens = Math.min(burstOf(rate), Math.max(0, line.tokens) + made);
    line.filledAt = now;
  }

  #lineOf(channel: string): Line {
    const known = this.#lines.get(channel);
    if (known !== undefined) return known;
    const line: Line = {
      ...{ active: 0, waiting: new Map(), called: new Set(), calledAt: 0 },
      ...{ tokens: Infinity, filledAt: this.#now(), timer: undefined },
    };
    this.#lines.set(channel, line);
    return line;
  }
}

function burstOf(rate: number | undefined): number {
  return rate === undefined ? Infinity : Math.max(1, rate * BURST);
}

function keyOf({ tenant, orderingKey }: Wake): string {
  return `${tenant} ${orderingKey}`;
}
