// Owns the CapabilityStatement: generated from the tables that the engine itself works with, so
// that it says what is served and nothing more.
import { resourceTypes } from './elements.ts';
import { parametersOf } from './parameters.ts';
import { ENGINE_TYPES } from './reserved.ts';

export interface CapabilityOptions {
  baseUrl: string;
  /** Of the software. */
  version: string;
  /** When the statement last changed: a FHIR date. */
  date: string;
}

const INTERACTIONS = [
  'read',
  'vread',
  'update',
  'history-instance',
  'history-type',
  'create',
  'search-type',
];

/** The CapabilityStatement of `/metadata` (R4 http.html#capabilities). */
export function capabilityStatement(options: CapabilityOptions): object {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: options.date,
    kind: 'instance',
    software: { name: 'Artery', version: options.version },
    implementation: { description: 'Artery clinical store', url: options.baseUrl },
    fhirVersion: '4.0.1',
    format: ['application/fhir+json', 'json'],
    rest: [
      {
        mode: 'server',
        security: {
          description: 'Bearer tokens with SMART v2 scopes; every access is audited.',
        },
        resource: resourceTypes().map(resourceOf),
      },
    ],
  };
}

function resourceOf(type: string): object {
  return {
    type,
    interaction: interactionsOf(type).map((code) => ({ code })),
    versioning: 'versioned-update',
    readHistory: true,
    updateCreate: !ENGINE_TYPES.has(type),
    conditionalCreate: false,
    conditionalRead: 'full-support',
    conditionalUpdate: false,
    conditionalDelete: 'not-supported',
    searchParam: searchParams(type),
  };
}

function interactionsOf(type: string): readonly string[] {
  if (!ENGINE_TYPES.has(type)) return INTERACTIONS;
  return INTERACTIONS.filter((code) => code !== 'create' && code !== 'update');
}

function searchParams(type: string): object[] {
  const columns = [
    { name: '_id', type: 'token' },
    { name: '_lastUpdated', type: 'date' },
  ];
  const others = [...parametersOf(type).values()].map(({ name, kind }) => ({ name, type: kind }));
  return [...columns, ...others];
}
