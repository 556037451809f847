// Lets messages be worked on side by side, or one of them alone: if the process ends then, it is
// known over which message. It knows nothing of keys and of their order.

export interface Gate {
  /**
   * Waits until nobody is inside alone; with `alone`, until nobody is inside at all, and keeps all
   * others out. Answers how to leave: to be called once.
   */
  enter(alone: boolean): Promise<() => void>;
}

export function openGate(): Gate {
  let inside = 0;
  /** While one is alone, or waits to be. */
  let barred: Promise<void> | undefined;
  let emptied = (): void => undefined;
  const leave = (): void => {
    inside -= 1;
    if (inside === 0) emptied();
  };
  return {
    async enter(alone) {
      while (barred !== undefined) await barred;
      if (!alone) {
        inside += 1;
        return leave;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      barred = promise;
      if (inside > 0) {
        await new Promise<void>((empty) => {
          emptied = empty;
        });
      }
      return () => {
        barred = undefined;
        resolve();
      };
    },
  };
}
