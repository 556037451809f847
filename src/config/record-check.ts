// Checks the JSON records of a channel against the JSON schema that its file names. Findings name
// the place and what is expected, never a value.
import { Ajv, type ValidateFunction } from 'ajv';
import type { Channel } from '../model/channel.ts';
import type { Issue } from '../model/issue.ts';
import { readFinding } from './faults.ts';

/** Compiles each channel's schema once; a reloaded channel is a new object and compiles anew. */
export function createRecordCheck(): (channel: Channel, record: unknown) => Issue[] {
  const compiled = new WeakMap<Channel, ValidateFunction>();
  return (channel, record) => {
    if (channel.record === null) return [];
    let validate = compiled.get(channel);
    if (validate === undefined) {
      const ajv = new Ajv({ allErrors: true, verbose: true, strict: false });
      validate = ajv.compile(channel.record.schema);
      compiled.set(channel, validate);
    }
    if (validate(record)) return [];
    return (validate.errors ?? []).map((error): Issue => {
      const { path, expected, found } = readFinding(error);
      const text = `Expected ${expected}, found ${found}.`;
      return { severity: 'error', code: 'value', at: path, text };
    });
  };
}
