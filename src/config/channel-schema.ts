// The JSON schema of a channel file: the only place where its fields, bounds and defaults stand.
// docs/reference/channel.schema.json is this schema; what no schema can say is in channel-rules.ts.
import { LIMITS, type LimitName, type Limits } from './limits.ts';

/** HL7 table 0211 names that Artery reads; '' in MSH-18 means the channel's charset. */
export const CHARSETS: readonly string[] = Object.freeze([
  'ASCII',
  'UNICODE UTF-8',
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 15].map((part) => `8859/${part}`),
  'ISO IR87',
]);

const DISABLED =
  'false = takes nothing new; messages that wait are still processed, and can be replayed.';

/** Defaults of numeric fields come from `limits`, so that one variable changes all channels. */
export function channelSchema(limits: Limits): Record<string, unknown> {
  const limit = (name: LimitName): Record<string, unknown> => ({
    type: 'integer',
    minimum: LIMITS[name].min,
    maximum: LIMITS[name].max,
    default: limits[name],
    description: `${LIMITS[name].about} Unit: ${LIMITS[name].unit}.`,
  });
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $id: 'https://artery.invalid/channel.schema.json',
    title: 'Channel',
    description: 'One file of channels/: where messages come in and how they are read.',
    type: 'object',
    additionalProperties: false,
    required: ['format', 'source'],
    properties: {
      ...headProperties(),
      source: {
        type: 'object',
        required: ['kind'],
        discriminator: { propertyName: 'kind' },
        oneOf: [mllpSource(limit), httpSource(limit)],
        description: 'Where messages come in.',
      },
      ...readingProperties(),
      retry: {
        type: 'object',
        additionalProperties: false,
        default: {},
        description: 'How often and how late a message that met a passing fault is tried again.',
        properties: {
          attempts: limit('attemptsMax'),
          firstDelayMs: limit('firstDelayMs'),
          delayMsMax: limit('delayMsMax'),
        },
      },
      work: workProperties(),
    },
  };
}

type LimitSchema = (name: LimitName) => Record<string, unknown>;

function headProperties(): Record<string, unknown> {
  return {
    description: { type: 'string', maxLength: 1_000, description: 'For people; not used.' },
    enabled: { type: 'boolean', default: true, description: `${DISABLED} true = it runs.` },
    tenant: {
      type: 'string',
      pattern: '^[a-z0-9][a-z0-9-]{0,31}$',
      expected: 'a tenant name of small letters, digits and hyphens',
      default: 'default',
      description: 'Whose data it is. Only `default` can be read in this version.',
    },
    format: { enum: ['hl7v2', 'fhir', 'json'], description: 'What a message is.' },
  };
}

function readingProperties(): Record<string, unknown> {
  return {
    timezone: {
      type: 'string',
      minLength: 1,
      maxLength: 64,
      default: 'UTC',
      description: 'IANA zone of times without an offset: `Europe/Berlin`.',
    },
    accepts: {
      type: 'array',
      maxItems: 100,
      default: [],
      items: {
        type: 'string',
        pattern: '^([A-Z0-9]{3}\\^([A-Z0-9]{3}|\\*)|[A-Za-z]{1,64})$',
        expected: 'a message type as ADT^A01 or ADT^*',
      },
      description: 'Message types that are taken (MSH-9); none named = all that have a map.',
    },
    ...processingProperties(),
    charset: {
      enum: CHARSETS,
      default: 'UNICODE UTF-8',
      description: 'Character set where MSH-18 is empty: a name of HL7 table 0211.',
    },
    orderBy: {
      type: 'string',
      maxLength: 256,
      description: 'Field whose value orders messages: `PID-3.1` (default), `/mrn` for json.',
    },
    batchAnswer: {
      enum: ['messages', 'batch'],
      default: 'messages',
      description:
        'hl7v2: a batch (BHS or FHS) is answered message by message, or by one batch: BHS, MSH ...',
    },
    site: {
      type: 'string',
      pattern: '^([a-z0-9][a-z0-9-]{0,63})?$',
      expected: 'a folder name under mappings/sites',
      default: '',
      description: 'Overlay folder under mappings/sites.',
    },
    record: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'schema'],
      description: 'format json only: the map and the schema of a record.',
      properties: {
        name: {
          type: 'string',
          pattern: '^[A-Za-z][A-Za-z0-9_-]{0,63}$',
          expected: 'the name of a map under mappings/messages',
          description: 'Name of the map under mappings/messages.',
        },
        schema: {
          type: 'string',
          pattern: '^(?!.*\\.\\.)[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}\\.json$',
          expected: 'a .json file beside or below the channel file',
          description: 'File of the JSON schema of one record, relative to the channel file.',
        },
      },
    },
  };
}

function processingProperties(): Record<string, unknown> {
  return {
    processingIds: {
      type: 'array',
      minItems: 1,
      maxItems: 3,
      uniqueItems: true,
      default: ['P'],
      items: { enum: ['P', 'T', 'D'] },
      description: 'hl7v2 only: values of MSH-11.1 that are taken; an empty MSH-11 counts as P.',
    },
    otherProcessing: {
      enum: ['refuse', 'set-aside'],
      default: 'refuse',
      description:
        'A message with another MSH-11: `refuse` answers AR (condition 202), `set-aside` answers ' +
        'AA and keeps it set aside. Neither is processed before an operator replays it.',
    },
  };
}

function workProperties(): Record<string, unknown> {
  const bound = (maximum: number, description: string) => {
    return { type: 'integer', minimum: 1, maximum, description };
  };
  const perProcess = 'In each process with the role work: two of them do twice as much together.';
  return {
    type: 'object',
    additionalProperties: false,
    description: `Bounds of the work on this channel; absent = none. ${perProcess}`,
    properties: {
      concurrency: bound(
        1_024,
        'Messages mapped and written at the same time; those of one ordering key never are.',
      ),
      ratePerSecond: bound(
        100_000,
        'Messages begun per second; a tenth of it (at least one) at once after a pause.',
      ),
    },
  };
}

function mllpSource(limit: LimitSchema): Record<string, unknown> {
  const file = { type: 'string', minLength: 1, maxLength: 4_096 };
  return {
    title: 'MLLP',
    additionalProperties: false,
    required: ['kind', 'port'],
    properties: {
      kind: { const: 'mllp' },
      host: {
        type: 'string',
        pattern: '^[A-Za-z0-9.:_-]{1,255}$',
        expected: 'a host name or an address',
        description: 'Address on which it listens; absent = ARTERY_HOST.',
      },
      port: {
        type: 'integer',
        minimum: 0,
        maximum: 65_535,
        description: 'TCP port; 0 = any free one.',
      },
      frameBytesMax: limit('frameBytesMax'),
      idleTimeoutMs: limit('idleTimeoutMs'),
      connectionsMax: limit('connectionsMax'),
      inflightMax: limit('inflightMax'),
      tls: {
        type: 'object',
        additionalProperties: false,
        required: ['certFile', 'keyFile'],
        description: 'MLLP over TLS; `artery cert make` creates the files.',
        properties: {
          certFile: {
            ...file,
            description: 'PEM certificate chain, relative to the channel file.',
          },
          keyFile: { ...file, description: 'PEM private key.' },
          caFile: {
            type: 'string',
            maxLength: 4_096,
            default: '',
            description: 'PEM CA of client certificates.',
          },
          requireClientCert: {
            type: 'boolean',
            default: false,
            description: 'Mutual TLS: refuse senders without a certificate of that CA.',
          },
        },
      },
    },
  };
}

function httpSource(limit: LimitSchema): Record<string, unknown> {
  return {
    title: 'HTTP',
    additionalProperties: false,
    required: ['kind'],
    properties: { kind: { const: 'http' }, bodyBytesMax: limit('bodyBytesMax') },
  };
}
