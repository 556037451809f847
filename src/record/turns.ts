// Who may work at the same time: so many take a turn, the others wait in line.

export interface Turns {
  /** Waits for a turn; the answer ends it and must be called once. */
  take(): Promise<() => void>;
}

export function openTurns(atOnce: number): Turns {
  const line: (() => void)[] = [];
  let free = atOnce;
  const end = () => {
    const next = line.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return {
    async take() {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => line.push(resolve));
      return end;
    },
  };
}
