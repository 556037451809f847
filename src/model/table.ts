// Owns the one form of a table that is looked up by names from outside.

/**
 * A frozen copy of the rows without a prototype: `toString` and `__proto__` are not in it. Every
 * constant object that is indexed by a value must be made here (test/tidy.test.ts checks it).
 */
export function tableOf<T extends object>(rows: T): T {
  return Object.freeze(Object.assign(Object.create(null) as T, rows));
}
