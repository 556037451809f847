// The settings of one process: read from the environment, checked whole, then frozen.
// It opens nothing and starts nothing; channel files are channels.ts, the root key is root-key.ts.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { EngineError } from '../model/errors.ts';
import { kindOf, readFinding } from './faults.ts';
import type { Limits } from './limits.ts';
import { SETTINGS, type Setting, settingsSchema } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type LogLevel = 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug';

export interface Config {
  /** Absolute. Holds the store, the keys and the run files. */
  readonly dataDir: string;
  readonly channelsDir: string;
  readonly mappingsDir: string;
  readonly host: string;
  /** 0 = any free port. */
  readonly httpPort: number;
  /** Without a final slash, '' = none is configured. */
  readonly publicUrl: string;
  /** Addresses and networks divided by commas, '' = no proxy is believed. */
  readonly trustedProxies: string;
  readonly logLevel: LogLevel;
  /** Text of a key file, or null: then it stands in `rootKeyFile`. See root-key.ts. */
  readonly rootKey: string | null;
  readonly rootKeyFile: string;
  /** Absolute. Backups are made in it, each under its name. */
  readonly backupDir: string;
  /** Text of ARTERY_ANCHORS_TO, '' = nowhere. It may hold passwords. */
  readonly anchorsTo: string;
  /** The servers of the cluster engine; null = the embedded engine. Both hold passwords. */
  readonly cluster: { readonly mongodbUrl: string; readonly redisUrl: string } | null;
  readonly limits: Limits;
  /** What `${NAME}` in channel files may refer to. */
  readonly environment: Environment;
}

export interface SettingFault {
  name: string;
  expected: string;
  found: string;
}

/** All faults of the environment at once; code CONFIG_INVALID. */
export class ConfigError extends EngineError {
  readonly faults: readonly SettingFault[];
  constructor(faults: readonly SettingFault[]) {
    const lines = faults.map((f) => `${f.name}: expected ${f.expected}, found ${f.found}`);
    super('CONFIG_INVALID', `The settings are wrong: ${lines.join('; ')}.`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/** Throws ConfigError with every fault; relative folders are taken from the working folder. */
export function loadConfig(environment: Environment = processEnvironment()): Config {
  const faults: SettingFault[] = [];
  const values: Record<string, unknown> = {};
  for (const setting of SETTINGS) values[setting.name] = readSetting(setting, environment, faults);
  checkValues(values, faults);
  refuseHalfCluster(values, faults);
  refuseMisspelt(environment, faults);
  if (faults.length > 0) throw new ConfigError(faults);
  return freezeConfig(values, environment);
}

/** The environment of this process: the one place where it is read. */
export function processEnvironment(): Environment {
  return process.env;
}

/** The folder that holds `channels`, `mappings` and package.json. */
export function projectDir(): string {
  return resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
}

function freezeConfig(values: Record<string, unknown>, environment: Environment): Config {
  const text = (name: string): string => String(values[name] ?? '');
  const dataDir = resolve(text('ARTERY_DATA_DIR'));
  const limits: Record<string, number> = {};
  for (const setting of SETTINGS) {
    if (setting.limit !== undefined) limits[setting.limit] = Number(values[setting.name]);
  }
  return Object.freeze({
    dataDir,
    channelsDir: resolve(projectDir(), text('ARTERY_CHANNELS_DIR')),
    mappingsDir: resolve(projectDir(), text('ARTERY_MAPPINGS_DIR')),
    host: text('ARTERY_HOST'),
    httpPort: Number(values.ARTERY_HTTP_PORT),
    trustedProxies: text('ARTERY_TRUSTED_PROXIES'),
    publicUrl: text('ARTERY_PUBLIC_URL'),
    anchorsTo: String(values.ARTERY_ANCHORS_TO ?? ''),
    logLevel: text('ARTERY_LOG_LEVEL') as LogLevel,
    rootKey: values.ARTERY_ROOT_KEY === undefined ? null : text('ARTERY_ROOT_KEY'),
    rootKeyFile: resolve(text('ARTERY_ROOT_KEY_FILE') || join(dataDir, 'keys', 'root.key')),
    backupDir: resolve(text('ARTERY_BACKUP_DIR') || join(dataDir, 'backups')),
    cluster: clusterOf(values),
    limits: Object.freeze(limits) as Limits,
    environment: Object.freeze({ ...environment }),
  });
}

function clusterOf({ MONGODB_URL, REDIS_URL }: Record<string, unknown>): Config['cluster'] {
  if (MONGODB_URL === undefined || REDIS_URL === undefined) return null;
  return Object.freeze({ mongodbUrl: String(MONGODB_URL), redisUrl: String(REDIS_URL) });
}

/** An empty variable counts as absent, as docker compose passes unset ones. */
function readSetting(setting: Setting, environment: Environment, faults: SettingFault[]): unknown {
  const direct = environment[setting.name] || undefined;
  if (!setting.secret) return direct ?? setting.default;
  const file = environment[`${setting.name}_FILE`] || undefined;
  if (direct !== undefined && file !== undefined) {
    faults.push({
      name: setting.name,
      expected: `either it or ${setting.name}_FILE`,
      found: 'both',
    });
  }
  if (direct !== undefined || file === undefined || setting.fileIsMade) return direct;
  return readSecret(setting.name, file, faults);
}

function readSecret(name: string, file: string, faults: SettingFault[]): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'an error';
    faults.push({ name: `${name}_FILE`, expected: 'a readable file', found: reason });
    return undefined;
  }
}

/** Reads whole numbers in place and collects what breaks the schema. */
function checkValues(values: Record<string, unknown>, faults: SettingFault[]): void {
  const given = { ...values };
  for (const setting of SETTINGS) {
    const text = String(values[setting.name] ?? '');
    const isNumber = setting.schema.type === 'integer' && /^-?\d{1,15}$/.test(text);
    if (isNumber) values[setting.name] = Number(text);
    if (values[setting.name] === undefined) delete values[setting.name];
  }
  const ajv = new Ajv({ allErrors: true, verbose: true, keywords: ['expected'] });
  const validate = ajv.compile(settingsSchema());
  if (validate(values)) return;
  for (const error of validate.errors ?? []) {
    const finding = readFinding(error);
    const name = finding.path.replace(/^\//, '');
    const seen = faults.some((fault) => fault.name === name);
    if (!seen) faults.push({ name, expected: finding.expected, found: kindOf(given[name]) });
  }
}

/** One without the other would start another engine than was meant, on an empty store. */
function refuseHalfCluster(values: Record<string, unknown>, faults: SettingFault[]): void {
  const names = ['MONGODB_URL', 'REDIS_URL'] as const;
  const missing = names.filter((name) => values[name] === undefined);
  const [name] = missing;
  if (missing.length !== 1 || name === undefined) return;
  if (faults.some((fault) => fault.name.startsWith(name))) return;
  const other = names.find((one) => one !== name);
  const expected = `a value, as ${other} has one (both, or neither)`;
  faults.push({ name, expected, found: 'nothing' });
}

/**
 * A misspelt `ARTERY_…` would be without effect and without a word. Names that resemble no
 * setting pass: channel files may use variables of their own.
 */
function refuseMisspelt(environment: Environment, faults: SettingFault[]): void {
  const known = SETTINGS.flatMap((s) => (s.secret ? [s.name, `${s.name}_FILE`] : [s.name]));
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('ARTERY_') || known.includes(name)) continue;
    const meant = known.find((other) => editDistance(name, other) <= 2);
    if (meant !== undefined) faults.push({ name, expected: `the name ${meant}`, found: 'another' });
  }
}

/** Letters to insert, remove or replace (Levenshtein). */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      const replace = (row[j - 1] ?? 0) + same;
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
