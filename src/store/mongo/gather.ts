// Many reads by id as one query: those of one turn of the event loop go together. Messages whose
// commits end together ask for their keys and resources at the same moment.

/** `read` answers what there is of the ids, by id; the function answers one of them. */
export function gather<T>(
  read: (ids: string[]) => Promise<ReadonlyMap<string, T>>,
  idsMax: number,
): (id: string) => Promise<T | undefined> {
  let asked = new Map<string, PromiseWithResolvers<T | undefined>>();
  const send = (): void => {
    if (asked.size === 0) return;
    const sent = asked;
    asked = new Map();
    read([...sent.keys()]).then(
      (found) => {
        for (const [id, { resolve }] of sent) resolve(found.get(id));
      },
      (cause: unknown) => {
        for (const { reject } of sent.values()) reject(cause);
      },
    );
  };
  return (id) => {
    const known = asked.get(id);
    if (known !== undefined) return known.promise;
    const answer = Promise.withResolvers<T | undefined>();
    if (asked.size === 0) setImmediate(send);
    asked.set(id, answer);
    if (asked.size >= idsMax) send();
    return answer.promise;
  };
}
