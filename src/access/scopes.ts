// Owns the grammar of scopes: SMART v2 (and v1 forms mapped to it), channel and admin scopes.
// It does not decide anything.

/** SMART v2 letters: create, read, update, delete, search. */
export type Verb = 'c' | 'r' | 'u' | 'd' | 's';

export type Scope =
  /** `system/Patient.rs`, `patient/*.rs`, `user/*.cruds`; resource `*` = all types. */
  | { kind: 'fhir'; context: 'system' | 'patient' | 'user'; resource: string; verbs: string }
  /** `channel/adt-inbound.write`, `channel/*.write`. */
  | { kind: 'channel'; name: string }
  /** `admin/*.cruds`, `admin/messages.rs`. */
  | { kind: 'admin'; area: string; verbs: string };

/** Reads one scope; null when it is none that Artery knows. v1 `.read` = rs, `.write` = cud. */
export function parseScope(text: string): Scope | null {
  const parts =
    /^(system|patient|user|channel|admin)\/(\*|[A-Za-z0-9][A-Za-z0-9-]{0,63})\.(.+)$/.exec(text);
  if (!parts) return null;
  const [, context, subject, verbs] = parts as unknown as [string, string, string, string];
  if (context === 'channel') return verbs === 'write' ? { kind: 'channel', name: subject } : null;
  const letters = verbsOf(verbs);
  if (letters === null) return null;
  if (context === 'admin') return { kind: 'admin', area: subject, verbs: letters };
  if (context !== 'system' && context !== 'patient' && context !== 'user') return null;
  if (subject !== '*' && !/^[A-Z][A-Za-z]+$/.test(subject)) return null;
  return { kind: 'fhir', context, resource: subject, verbs: letters };
}

/** Splits a blank-separated scope string; `unknown` holds what parseScope refuses. */
export function parseScopes(text: string): { scopes: string[]; unknown: string[] } {
  const words = [...new Set(text.split(/\s+/).filter((word) => word !== ''))];
  return {
    scopes: words.filter((word) => parseScope(word) !== null),
    unknown: words.filter((word) => parseScope(word) === null),
  };
}

/** SMART v2 wants the letters in the order c r u d s, each at most once. */
function verbsOf(text: string): string | null {
  if (text === 'read') return 'rs';
  if (text === 'write') return 'cud';
  if (text === '*') return 'cruds';
  return /^c?r?u?d?s?$/.test(text) && text !== '' ? text : null;
}
