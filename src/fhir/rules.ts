// Owns the invariants of R4 that Artery checks on every write, by type. All are errors of the
// specification; the names (obs-7) are the specification's.

import { tableOf } from '../model/table.ts';
import type { Walk } from './overlay.ts';
import { spanOf } from './time.ts';

type Data = Record<string, unknown>;

/** Reports what breaks a rule of the type; `walk` stands at the value. */
export type TypeRule = (data: Data, walk: Walk) => void;

/** The rule of a type, null where there is none. */
export function ruleOf(type: string): TypeRule | null {
  return RULES[type] ?? null;
}

const RULES: Record<string, TypeRule> = tableOf({
  Period: (data, walk) => {
    const start = span(data.start);
    const end = span(data.end);
    if (start && end && start.low > end.high) {
      walk.report('invariant', 'per-1: the period must not end before it starts.');
    }
  },
  Extension: (data, walk) => {
    const hasValue = Object.keys(data).some((key) => /^_?value[A-Z]/.test(key));
    if (hasValue === has(data, 'extension')) {
      walk.report('invariant', 'ext-1: an extension has either a value or extensions.');
    }
  },
  Reference: (data, walk) => {
    if (!has(data, 'reference', 'identifier', 'display', 'extension', 'type', '_reference')) {
      walk.report('invariant', 'A reference needs a reference, an identifier or a display.');
    }
  },
  Quantity: quantity,
  Age: quantity,
  Count: quantity,
  Distance: quantity,
  Duration: quantity,
  ContactPoint: (data, walk) => {
    if (has(data, 'value') && !has(data, 'system', '_system')) {
      walk.report('invariant', 'cpt-2: a contact point with a value needs a system.');
    }
  },
  Attachment: (data, walk) => {
    if (has(data, 'data') && !has(data, 'contentType', '_contentType')) {
      walk.report('invariant', 'att-1: an attachment with data needs a contentType.');
    }
  },
  Range: (data, walk) => {
    const low = data.low as Data | undefined;
    const high = data.high as Data | undefined;
    if (low?.code === high?.code && isAbove(low?.value, high?.value)) {
      walk.report('invariant', 'rng-2: the low end must not be above the high end.');
    }
  },
  Ratio: (data, walk) => {
    if (has(data, 'numerator') !== has(data, 'denominator')) {
      walk.report('invariant', 'rat-1: a ratio has both a numerator and a denominator.');
    }
  },
  Observation: (data, walk) => {
    const hasValue = hasChoice(data, 'value');
    if (hasValue && has(data, 'dataAbsentReason')) {
      walk.report('invariant', 'obs-6: no dataAbsentReason beside a value.');
    }
    if (hasValue && sharesCode(data)) {
      walk.report('invariant', 'obs-7: no value where a component has the same code.');
    }
  },
  'Observation.referenceRange': (data, walk) => {
    if (!has(data, 'low', 'high', 'text', '_text')) {
      walk.report('invariant', 'obs-3: a reference range needs low, high or text.');
    }
  },
  'Patient.contact': (data, walk) => {
    if (!has(data, 'name', 'telecom', 'address', 'organization')) {
      walk.report('invariant', 'pat-1: a contact needs a name, telecom, address or organization.');
    }
  },
  Organization: (data, walk) => {
    if (!has(data, 'identifier', 'name', '_name')) {
      walk.report('invariant', 'org-1: an organization needs a name or an identifier.');
    }
  },
  Condition: (data, walk) => {
    const wrong = codeOf(data.verificationStatus) === 'entered-in-error';
    if (wrong && has(data, 'clinicalStatus')) {
      walk.report('invariant', 'con-5: no clinicalStatus on what was entered in error.');
    }
    const status = codeOf(data.clinicalStatus);
    const isOver = status === 'inactive' || status === 'resolved' || status === 'remission';
    if (hasChoice(data, 'abatement') && !isOver && !wrong) {
      walk.report('invariant', 'con-4: what has abated is inactive, resolved or in remission.');
    }
  },
  AllergyIntolerance: (data, walk) => {
    const wrong = codeOf(data.verificationStatus) === 'entered-in-error';
    if (wrong && has(data, 'clinicalStatus')) {
      walk.report('invariant', 'ait-2: no clinicalStatus on what was entered in error.');
    }
    if (!wrong && !has(data, 'clinicalStatus')) {
      walk.report('invariant', 'ait-1: clinicalStatus is required unless entered in error.');
    }
  },
  'Bundle.entry': (data, walk) => {
    if (!has(data, 'resource', 'request', 'response', 'link', 'fullUrl')) {
      walk.report('invariant', 'bdl-5: an entry must hold something.');
    }
  },
});

function quantity(data: Data, walk: Walk): void {
  if (has(data, 'code') && !has(data, 'system', '_system')) {
    walk.report('invariant', 'qty-3: a coded unit needs its system.');
  }
}

function has(data: Data, ...keys: string[]): boolean {
  for (const key of keys) if (data[key] !== undefined) return true;
  return false;
}

function hasChoice(data: Data, stem: string): boolean {
  for (const key in data) {
    if (!key.startsWith(stem) || key.length === stem.length) continue;
    const next = key.charCodeAt(stem.length);
    if (next >= 65 && next <= 90) return true;
  }
  return false;
}

function span(value: unknown): ReturnType<typeof spanOf> {
  return typeof value === 'string' ? spanOf(value) : null;
}

function isAbove(low: unknown, high: unknown): boolean {
  return typeof low === 'number' && typeof high === 'number' && low > high;
}

function codingsOf(concept: unknown): Data[] {
  const codings = (concept as Data | undefined)?.coding;
  return Array.isArray(codings) ? (codings as Data[]) : [];
}

function codeOf(concept: unknown): unknown {
  return codingsOf(concept)[0]?.code;
}

function sharesCode(observation: Data): boolean {
  const components = observation.component;
  if (!Array.isArray(components)) return false;
  const own = new Set(codingsOf(observation.code).map(codingKey));
  return components.some((component) =>
    codingsOf((component as Data | null)?.code).some((coding) => own.has(codingKey(coding))),
  );
}

function codingKey(coding: Data): string {
  return `${coding?.system}|${coding?.code}`;
}
