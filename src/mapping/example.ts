// An example of a message map as it lies in mappings/examples. Running it is pipeline/example.ts.

export interface Example {
  /** Site whose overlay it is run with, '' = none: `mappings/sites/<site>/examples`. */
  site: string;
  /** Name of the message map (the folder). */
  message: string;
  /** Name of the case. */
  name: string;
  format: 'hl7v2' | 'json';
  /** As it lies in the file: an example may be in another charset than UTF-8. */
  bytes: Uint8Array;
  /** Text of `<case>.expected.json`; undefined = there is none. */
  expected: string | undefined;
  expectedFile: string;
}
