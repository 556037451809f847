// Choices of a fuzz run, all from one seed.
import { randomFrom } from '../support/store-units.ts';

export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = randomFrom(seed);
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.#next() * below);
  }

  chance(part: number): boolean {
    return this.#next() < part;
  }

  pick<T>(from: readonly T[]): T {
    const found = from[this.below(from.length)];
    if (found === undefined && from.length === 0) throw new RangeError('nothing to pick from');
    return found as T;
  }

  /** `count` draws of `pick`, joined. */
  text(from: readonly string[], count: number): string {
    return Array.from({ length: count }, () => this.pick(from)).join('');
  }
}
