// Tables: code -> code in a target system, with patterns, a default and a policy for codes that
// are not there. It finds entries; what is written with them is in value.ts.
import type { MapFault, MapSource } from './source.ts';
import { faultAt } from './source.ts';

export interface Entry {
  code: string;
  system: string;
  display: string;
  /** Not '' = the code is ignored for this written reason. */
  ignore: string;
}

export type Unknown = { policy: 'keep' | 'pass' | 'error' } | { policy: 'default'; entry: Entry };

export interface Table {
  name: string;
  /** System of original codes that are kept, '' = none. */
  source: string;
  unknown: Unknown;
  /** The entry of a code, `"*"` included; undefined = the code is not there. */
  find(code: string): Entry | undefined;
}

/** Compiles a checked table. */
export function compileTable(source: MapSource, faults: MapFault[]): Table {
  const { value } = source;
  const system = textOf(value.system);
  const exact = new Map<string, Entry>();
  const folded = new Map<string, Entry>();
  const patterns: { match: RegExp; entry: Entry }[] = [];
  let rest: Entry | undefined;
  for (const [code, written] of Object.entries(value.codes as Record<string, unknown>)) {
    const entry = readEntry(written, system);
    if (entry.code === '' && entry.ignore === '') {
      faults.push(faultAt(source, ['codes', code], 'An entry needs code or ignore.'));
    }
    if (code === '*') rest = entry;
    else if (code.includes('#')) patterns.push({ match: patternOf(code), entry });
    else {
      exact.set(code, entry);
      if (!folded.has(code.toUpperCase())) folded.set(code.toUpperCase(), entry);
    }
  }
  const find = (code: string) =>
    exact.get(code) ?? folded.get(code.toUpperCase()) ?? matchPattern(patterns, code) ?? rest;
  const unknown = readUnknown(value.unknown, system);
  return { name: source.name, source: textOf(value.source), unknown, find };
}

/** Reads `unknown:` of a table or a row. */
export function readUnknown(written: unknown, system: string): Unknown {
  if (written === 'error' || written === 'pass') return { policy: written };
  if (written === undefined || written === 'keep') return { policy: 'keep' };
  return { policy: 'default', entry: readEntry(written, system) };
}

function readEntry(written: unknown, system: string): Entry {
  if (typeof written !== 'object' || written === null) {
    return { code: textOf(written), system, display: '', ignore: '' };
  }
  const entry = written as Record<string, unknown>;
  return {
    code: textOf(entry.code),
    system: entry.system === undefined ? system : textOf(entry.system),
    display: textOf(entry.display),
    ignore: textOf(entry.ignore),
  };
}

function textOf(value: unknown): string {
  return value === undefined || value === null ? '' : String(value);
}

/** `HL7####`: every `#` is one digit, all else is itself. */
function patternOf(code: string): RegExp {
  const source = code.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('#', '(\\d)');
  return new RegExp(`^${source}$`, 'i');
}

function matchPattern(
  patterns: readonly { match: RegExp; entry: Entry }[],
  code: string,
): Entry | undefined {
  for (const { match, entry } of patterns) {
    const digits = match.exec(code)?.slice(1);
    if (digits === undefined) continue;
    let next = 0;
    return { ...entry, code: entry.code.replaceAll('#', () => digits[next++] ?? '#') };
  }
  return undefined;
}
