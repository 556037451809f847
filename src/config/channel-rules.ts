// What the JSON schema of a channel cannot say: fields that depend on each other, time zones, and
// the files that a channel names. Makes the frozen Channel.
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv } from 'ajv';
import type { Channel, HttpSource, MllpSource } from '../model/channel.ts';
import type { MessageFormat } from '../model/message.ts';

/** As written: no `host` = the one of the process, no `tls` = none. */
type MllpText = Omit<MllpSource, 'tls' | 'host'> & {
  host?: string;
  tls?: NonNullable<MllpSource['tls']>;
};

/** What the rules need from outside of the file. */
export interface RuleContext {
  /** Address of a source that names none. */
  host: string;
  /** Folder of the maps, '' = not known: then `site` is not looked up. */
  mappingsDir: string;
}

const READABLE_TENANT = 'default';

/** A channel file that has passed the schema, defaults filled in. */
export interface ChannelText {
  enabled: boolean;
  tenant: string;
  format: MessageFormat;
  source: MllpText | HttpSource;
  timezone: string;
  accepts: string[];
  processingIds: string[];
  otherProcessing: Channel['otherProcessing'];
  charset: string;
  orderBy?: string;
  site: string;
  batchAnswer: 'messages' | 'batch';
  record?: { name: string; schema: string };
  retry: Channel['retry'];
  work?: Channel['work'];
}

interface Fault {
  path: string;
  expected: string;
  found: string;
}

/** `folder` is where the file stands: the files that it names are relative to it. */
export function checkRules(
  text: ChannelText,
  name: string,
  folder: string,
  context: RuleContext,
): { channel?: Channel; faults: Fault[] } {
  const faults: Fault[] = [
    ...checkName(name),
    ...checkFormat(text),
    ...checkTenant(text.tenant),
    ...checkSite(text.site, context.mappingsDir),
    ...checkZone(text.timezone),
    ...checkTypes(text),
    ...checkOrder(text),
    ...checkRetry(text.retry),
    ...checkTls(text, folder),
  ];
  const record = readRecord(text, folder, faults);
  if (faults.length > 0) return { faults };
  const { enabled, tenant, format, timezone, accepts, charset, site, retry, work } = text;
  const { processingIds, otherProcessing } = text;
  const channel: Channel = {
    name,
    ...{ enabled, tenant, format, timezone, accepts, charset, site, retry, record },
    ...{ processingIds, otherProcessing },
    source: toSource(text.source, folder, context.host),
    orderBy: text.orderBy ?? (format === 'hl7v2' ? 'PID-3.1' : ''),
    ...(work !== undefined && { work }),
    ...(text.batchAnswer === 'batch' && { batchAnswer: 'batch' as const }),
  };
  return { channel: deepFreeze(channel), faults };
}

function checkName(name: string): Fault[] {
  if (/^[a-z][a-z0-9-]{0,63}$/.test(name)) return [];
  const form = 'a file name of small letters, digits and hyphens that begins with a letter';
  return [fault('', form, 'another form')];
}

function checkFormat(text: ChannelText): Fault[] {
  const faults: Fault[] = [];
  if (text.source.kind === 'mllp' && text.format !== 'hl7v2') {
    faults.push(fault('/format', 'hl7v2, as the source is mllp', text.format));
  }
  if (text.format === 'json' && text.record === undefined) {
    faults.push(fault('/record', 'name and schema of the record', 'nothing'));
  }
  if (text.format !== 'hl7v2' && text.batchAnswer === 'batch') {
    faults.push(fault('/batchAnswer', 'nothing, as the format is not hl7v2', 'batch'));
  }
  if (text.format !== 'json' && text.record !== undefined) {
    faults.push(fault('/record', 'nothing, as the format is not json', 'an object'));
  }
  return faults;
}

/** No token is of another tenant than the default one, so nobody could read what came in. */
function checkTenant(tenant: string): Fault[] {
  if (tenant === READABLE_TENANT) return [];
  const expected = `${READABLE_TENANT}: no token of this version can read another tenant's data`;
  return [fault('/tenant', expected, 'another tenant')];
}

/** A misspelt site would refuse every message of the channel. */
function checkSite(site: string, mappingsDir: string): Fault[] {
  if (site === '' || mappingsDir === '') return [];
  if (isFolder(join(mappingsDir, 'sites', site))) return [];
  return [fault('/site', 'a folder under mappings/sites', 'no such folder')];
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function checkZone(timezone: string): Fault[] {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
    return [];
  } catch {
    return [fault('/timezone', 'an IANA time zone as Europe/Berlin', 'an unknown zone')];
  }
}

function checkTypes(text: ChannelText): Fault[] {
  if (text.format !== 'hl7v2') return [];
  return text.accepts.flatMap((type, index) =>
    type.includes('^')
      ? []
      : [fault(`/accepts/${index}`, 'a type as ADT^A01 or ADT^*', 'no MSH-9')],
  );
}

function checkOrder(text: ChannelText): Fault[] {
  const order = text.orderBy;
  if (order === undefined) return [];
  if (text.format === 'hl7v2' && /^[A-Z][A-Z0-9]{2}-\d{1,3}(\.\d{1,2}){0,2}$/.test(order))
    return [];
  if (text.format === 'json' && /^(\/[A-Za-z0-9_~-]+)+$/.test(order)) return [];
  const expected = { hl7v2: 'a field as PID-3.1', json: 'a JSON Pointer as /mrn', fhir: 'nothing' };
  return [fault('/orderBy', expected[text.format], 'another form')];
}

function checkRetry(retry: Channel['retry']): Fault[] {
  if (retry.firstDelayMs <= retry.delayMsMax) return [];
  return [fault('/retry/firstDelayMs', 'at most delayMsMax', 'a larger number')];
}

function checkTls(text: ChannelText, folder: string): Fault[] {
  if (text.source.kind !== 'mllp' || text.source.tls === undefined) return [];
  const { certFile, keyFile, caFile, requireClientCert } = text.source.tls;
  const files = Object.entries({ certFile, keyFile, caFile }).filter(([, file]) => file !== '');
  const faults = files.flatMap(([field, file]) => {
    const read = readWhole(resolve(folder, file));
    return 'text' in read
      ? []
      : [fault(`/source/tls/${field}`, 'a readable PEM file', read.reason)];
  });
  if (requireClientCert && caFile === '') {
    faults.push(fault('/source/tls/caFile', 'the CA of the client certificates', 'nothing'));
  }
  return faults;
}

function readRecord(text: ChannelText, folder: string, faults: Fault[]): Channel['record'] {
  if (text.record === undefined) return null;
  const path = '/record/schema';
  const read = readWhole(resolve(folder, text.record.schema));
  if (!('text' in read)) {
    faults.push(fault(path, 'a readable file', read.reason));
    return null;
  }
  try {
    const schema = JSON.parse(read.text) as Record<string, unknown>;
    new Ajv({ allErrors: true, strict: false, validateFormats: false }).compile(schema);
    return { name: text.record.name, schema };
  } catch (error) {
    const found = error instanceof SyntaxError ? 'no JSON' : 'a schema that does not compile';
    faults.push(fault(path, 'a JSON schema (draft 07)', found));
    return null;
  }
}

function toSource(text: ChannelText['source'], folder: string, host: string): Channel['source'] {
  if (text.kind === 'http') return text;
  const source = { ...text, host: text.host ?? host };
  if (source.tls === undefined) return { ...source, tls: null };
  const { certFile, keyFile, caFile, requireClientCert } = source.tls;
  const at = (file: string): string => (file === '' ? '' : resolve(folder, file));
  const tls = {
    certFile: at(certFile),
    keyFile: at(keyFile),
    caFile: at(caFile),
    requireClientCert,
  };
  return { ...source, tls };
}

function readWhole(file: string): { text: string } | { reason: string } {
  try {
    return { text: readFileSync(file, 'utf8') };
  } catch (error) {
    return { reason: (error as NodeJS.ErrnoException).code ?? 'an error' };
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

function fault(path: string, expected: string, found: string): Fault {
  return { path, expected, found };
}
