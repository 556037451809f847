// Every environment variable of Artery: name, JSON schema, default and meaning, in one table.
// docs/reference/config.md is made from it; reading and checking are in config.ts.
import { LIMITS, limitVariable } from './limits.ts';

export interface Setting {
  name: string;
  about: string;
  schema: Record<string, unknown>;
  default: string | undefined;
  /** Never shown; may also stand in the file named by `<name>_FILE`. */
  secret: boolean;
  /** `<name>_FILE` need not exist yet: the first start makes it. */
  fileIsMade?: boolean;
  /** Row of limits.ts that it sets. */
  limit?: string;
}

export const SETTINGS: readonly Setting[] = Object.freeze([
  folder(
    'ARTERY_DATA_DIR',
    './data',
    'Folder of the store, the keys and the run files; made at first start.',
  ),
  folder(
    'ARTERY_CHANNELS_DIR',
    'channels',
    'Folder of the channel files; relative to the project.',
  ),
  folder(
    'ARTERY_MAPPINGS_DIR',
    'mappings',
    'Folder of the mapping files; relative to the project.',
  ),
  {
    name: 'ARTERY_HOST',
    about: 'Address on which HTTP listens. Beyond loopback only with ARTERY_TRUSTED_PROXIES.',
    schema: {
      type: 'string',
      minLength: 1,
      maxLength: 255,
      pattern: '^[A-Za-z0-9.:_-]+$',
      expected: 'a host name or an address',
    },
    default: '127.0.0.1',
    secret: false,
  },
  {
    name: 'ARTERY_HTTP_PORT',
    about: 'Port of the HTTP surfaces; 0 = any free one.',
    schema: { type: 'integer', minimum: 0, maximum: 65_535 },
    default: '8080',
    secret: false,
  },
  {
    name: 'ARTERY_PUBLIC_URL',
    about:
      'Address under which clients reach HTTP: `https://fhir.hospital.example`. It stands in ' +
      'links, Location and the CapabilityStatement; needed behind a proxy.',
    schema: {
      type: 'string',
      maxLength: 512,
      pattern: '^https?://[A-Za-z0-9.:\\[\\]-]+(/[A-Za-z0-9._~-]+)*$',
      expected: 'https://host, without a final slash',
    },
    default: undefined,
    secret: false,
  },
  {
    name: 'ARTERY_TRUSTED_PROXIES',
    about:
      'Addresses or networks of the proxies that end TLS, divided by commas: `10.0.0.0/24`. ' +
      'X-Forwarded-For and X-Forwarded-Proto are believed from them alone.',
    schema: {
      type: 'string',
      maxLength: 1_024,
      pattern: '^[0-9A-Fa-f.:]+(/[0-9]{1,3})?(,[0-9A-Fa-f.:]+(/[0-9]{1,3})?)*$',
      expected: 'addresses or networks, divided by commas',
    },
    default: undefined,
    secret: false,
  },
  {
    name: 'ARTERY_LOG_LEVEL',
    about: 'Least level of the events that are logged.',
    schema: { enum: ['silent', 'fatal', 'error', 'warn', 'info', 'debug'] },
    default: 'info',
    secret: false,
  },
  {
    name: 'ARTERY_ROOT_KEY',
    about: 'The root key itself, as text of a key file. By default it stands in the key file.',
    schema: {
      type: 'string',
      minLength: 32,
      maxLength: 65_536,
      expected: 'the text of a key file',
    },
    default: undefined,
    secret: true,
    fileIsMade: true,
  },
  {
    name: 'ARTERY_ROOT_KEY_FILE',
    about: 'File of the root key, mode 0600; made at first start when it is absent.',
    schema: { type: 'string', maxLength: 4_096 },
    default: undefined,
    secret: false,
  },
  {
    name: 'ARTERY_BACKUP_DIR',
    about: 'Folder in which backups are made; default: `backups` in the data folder.',
    schema: { type: 'string', maxLength: 4_096 },
    default: undefined,
    secret: false,
  },
  {
    name: 'ARTERY_ANCHORS_TO',
    about:
      'Where signatures of the audit log go beside the data folder, divided by blanks: an ' +
      'absolute folder, `https://…`, `syslog+tcp://host:601`, `syslog+udp://host:514`.',
    schema: {
      type: 'string',
      maxLength: 4_096,
      pattern: '^\\S+( \\S+)*$',
      expected: 'folders and addresses, divided by one blank',
    },
    default: undefined,
    secret: true,
  },
  {
    name: 'MONGODB_URL',
    about:
      'MongoDB of the cluster engine, a replica set or a mongos: `mongodb://…`. With REDIS_URL, ' +
      'or neither: then the store is in the data folder.',
    schema: {
      type: 'string',
      maxLength: 4_096,
      pattern: '^mongodb(\\+srv)?://.',
      expected: 'mongodb://… or mongodb+srv://…',
    },
    default: undefined,
    secret: true,
  },
  {
    name: 'REDIS_URL',
    about:
      'Redis of the cluster engine: `redis://…`, or `rediss://…` for TLS. Installations that ' +
      'share a Redis take different database numbers (`/1`).',
    schema: {
      type: 'string',
      maxLength: 4_096,
      pattern: '^rediss?://.',
      expected: 'redis://… or rediss://…',
    },
    default: undefined,
    secret: true,
  },
  ...limitSettings(),
]);

/** JSON schema over all settings; numbers are coerced from text. */
export function settingsSchema(): Record<string, unknown> {
  const properties = Object.fromEntries(SETTINGS.map((setting) => [setting.name, setting.schema]));
  return { type: 'object', properties };
}

function folder(name: string, path: string, about: string): Setting {
  const schema = { type: 'string', minLength: 1, maxLength: 4_096 };
  return { name, about, schema, default: path, secret: false };
}

function limitSettings(): Setting[] {
  return Object.entries(LIMITS).map(([limit, row]) => ({
    name: limitVariable(limit),
    about: row.about,
    schema: { type: 'integer', minimum: row.min, maximum: row.max },
    default: String(row.default),
    secret: false,
    limit,
  }));
}
