// JSON schemas of the four layers of mapping files: what check.ts checks and what
// docs/reference/mapping.schema.json publishes. Meaning beyond shape is checked while compiling.

import { tableOf } from '../model/table.ts';
import type { Layer } from './source.ts';

/** The part of JSON Schema (2020-12) that is used; check.ts knows no more. */
export interface Schema {
  description?: string;
  type?: 'object' | 'array' | 'string' | 'boolean';
  enum?: readonly unknown[];
  pattern?: string;
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  /** false = no other names. */
  additionalProperties?: boolean | Schema;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  anyOf?: readonly Schema[];
  $ref?: string;
}

const text = (description: string): Schema => ({ type: 'string', description });
const anything: Schema = {};
const ref = (name: string): Schema => ({ $ref: `#/$defs/${name}` });
const listOf = (items: Schema, maxItems = 1000): Schema => ({ type: 'array', items, maxItems });

function object(
  description: string,
  properties: Record<string, Schema>,
  required: string[] = [],
): Schema {
  return { description, type: 'object', properties, required, additionalProperties: false };
}

const rows: Schema = { ...listOf(ref('row'), 500), description: 'rows, run in order' };
const when = text('a condition');
const mode: Schema = {
  description: 'merge, create-only or replace',
  enum: ['merge', 'create-only', 'replace'],
};
const typeName: Schema = {
  description: 'the name of a FHIR type',
  type: 'string',
  pattern: '^[A-Za-z][A-Za-z0-9]+$',
};
const segmentName: Schema = {
  description: 'the name of a segment',
  type: 'string',
  pattern: '^[A-Z][A-Z0-9]{2}$',
};
const key: Schema = {
  ...listOf({
    description: 'a list of parts, or of and warning',
    anyOf: [
      listOf(text('a part of a key'), 20),
      object('', { of: listOf(text('a part'), 20), warning: text('a warning') }, ['of']),
    ],
  }),
  minItems: 1,
  description: 'alternatives of a business key',
};
const scalar: Schema = { description: 'a code', anyOf: [{ type: 'string' }, { type: 'boolean' }] };
const entry = object('a target', {
  code: scalar,
  system: text('a uri'),
  display: text('a text'),
  ignore: text('a reason'),
});

/** Parts that several layers use. */
export const DEFINITIONS: Readonly<Record<string, Schema>> = tableOf({
  row: object('a row', {
    id: text('the key of the row for overlays'),
    from: {
      description: 'a path or a list of paths',
      anyOf: [{ type: 'string' }, { ...listOf(text('a path'), 50), minItems: 1 }],
    },
    to: text('a target element'),
    using: text('the name of a datatype map'),
    as: text('the name of a conversion'),
    table: text('the name of a table'),
    unknown: ref('unknown'),
    when,
    join: text('the text between joined values'),
    prefix: text('a text before the value'),
    value: anything,
    clear: { description: 'true', enum: [true] },
    initial: { description: 'true', enum: [true] },
    union: { description: 'true', enum: [true] },
    adds: { description: 'true', enum: [true] },
    ref: text('the name of an instance'),
    required: { type: 'boolean', description: 'true or false' },
    ignore: text('the reason'),
    each: text('a path'),
    rows,
    by: text('a path'),
    cases: {
      description: 'cases by value: a row or a list of rows',
      type: 'object',
      additionalProperties: { description: 'a row or rows', anyOf: [ref('row'), rows] },
    },
    expr: { ...anything, description: 'reserved, refused' },
    remove: { description: 'true, in site files only', enum: [true] },
  }),
  unknown: {
    description: 'keep, pass, error, or a target',
    anyOf: [{ enum: ['keep', 'pass', 'error'] }, entry],
  },
  instance: object(
    'an instance',
    {
      type: typeName,
      at: text('a structure path or JSON Pointer'),
      when,
      key,
      ordinal: { type: 'boolean', description: 'true or false' },
      mode,
      maps: listOf({
        description: 'the name of a segment map, or map, at and when',
        anyOf: [
          { type: 'string' },
          object('', { map: text('a name'), at: text('a path'), when }, ['map']),
        ],
      }),
      rows,
    },
    ['type', 'at', 'key'],
  ),
});

const reasons: Schema = {
  description: 'segments with the reason for which they are ignored',
  type: 'object',
  additionalProperties: text('a reason'),
};

/** One schema per layer. */
export const SCHEMAS: Readonly<Record<Layer, Schema>> = tableOf({
  messages: object(
    'a message map',
    {
      events: listOf({
        description: 'an event such as ADT^A01',
        type: 'string',
        pattern: '^[A-Z0-9]{3}\\^[A-Z0-9]{3}$',
      }),
      record: text('the record name of a JSON channel'),
      structure: text('the grammar of the message'),
      extends: text('the name of a message map'),
      required: listOf({
        description: 'a path, or field, severity and when',
        anyOf: [
          { type: 'string' },
          object('', { field: text('a path'), severity: { enum: ['error', 'warning'] }, when }, [
            'field',
          ]),
        ],
      }),
      ignore: reasons,
      resources: {
        description: 'instances by name',
        type: 'object',
        additionalProperties: { anyOf: [ref('instance'), { enum: [null] }] },
      },
      provenance: listOf(text('the name of a segment map')),
    },
    [],
  ),
  segments: object('a segment map', { segment: segmentName, resource: typeName, rows }, [
    'resource',
    'rows',
  ]),
  datatypes: object(
    'a datatype map',
    {
      datatype: {
        description: 'a data type or json',
        type: 'string',
        pattern: '^[A-Z0-9]{2,3}$|^json$',
      },
      yields: typeName,
      resource: object('a resource of its own', { key, mode, display: listOf(text('a path')) }, [
        'key',
      ]),
      rows,
    },
    ['datatype', 'yields', 'rows'],
  ),
  tables: object(
    'a table',
    {
      title: text('a title'),
      system: text('the system of the targets'),
      source: text('the system of original codes'),
      unknown: ref('unknown'),
      codes: {
        description: 'targets by code',
        type: 'object',
        additionalProperties: { description: 'a code or a target', anyOf: [scalar, entry] },
      },
    },
    ['codes'],
  ),
});

/** The document that docs/reference publishes: one schema per layer under `$defs`. */
export function publishedSchema(): Record<string, unknown> {
  const layers = Object.entries(SCHEMAS).map(([layer, schema]) => [layer, schema] as const);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Artery mapping files, one definition per layer: messages, segments, datatypes, tables',
    $defs: { ...DEFINITIONS, ...Object.fromEntries(layers) },
  };
}
