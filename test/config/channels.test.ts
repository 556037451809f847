// Channel files: what is refused, where exactly, and that the others still run.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadChannels } from '../../src/config/channels.ts';
import { loadConfig, projectDir } from '../../src/config/config.ts';
import { formatProblem } from '../../src/config/faults.ts';
import { defaultLimits } from '../../src/config/limits.ts';
import { newFolder, removeFolders } from '../support/folder.ts';

/** A JSON pointer; with the slash behind it, it would look like a path of a machine. */
const WORK = '/work';
const GOOD = 'format: hl7v2\nsource:\n  kind: mllp\n  port: 2600\n';

afterAll(removeFolders);

describe('a channel file', () => {
  it('gets every default', () => {
    const { channels, problems } = load({ 'a.yaml': GOOD });
    expect(problems).toEqual([]);
    expect(channels[0]).toMatchObject({
      name: 'a',
      enabled: true,
      tenant: 'default',
      timezone: 'UTC',
      charset: 'UNICODE UTF-8',
      orderBy: 'PID-3.1',
      record: null,
      source: { kind: 'mllp', host: '127.0.0.1', port: 2600, connectionsMax: 256, tls: null },
      retry: { attempts: 8, firstDelayMs: 500, delayMsMax: 60_000 },
    });
    expect(Object.isFrozen(channels[0]?.source)).toBe(true);
  });

  it('bounds the work of a channel only where the file does', () => {
    const { channels, problems } = load({
      'a.yaml': `${GOOD}work: { concurrency: 2, ratePerSecond: 50 }\n`,
      'b.yaml': GOOD.replace('2600', '2601'),
    });
    expect(problems).toEqual([]);
    expect(channels[0]?.work).toEqual({ concurrency: 2, ratePerSecond: 50 });
    expect(channels[1]?.work).toBeUndefined();
  });

  it('takes its limits from the settings', () => {
    const limits = { ...defaultLimits(), connectionsMax: 7 };
    const { channels } = load({ 'a.yaml': GOOD }, {}, limits);
    expect(channels[0]?.source).toMatchObject({ connectionsMax: 7 });
  });

  it.each([
    [
      'format: hl7\nsource: { kind: http }\n',
      'a.yaml:1: /format: expected one of hl7v2, fhir, json',
    ],
    ['format: fhir\nsource:\n  kind: ftp\n', 'a.yaml:3: /source/kind: '],
    [`${GOOD}  prot: 1\n`, 'a.yaml:5: /source/prot: expected one of kind, host, port'],
    [
      'format: hl7v2\nsource:\n  kind: mllp\n',
      'a.yaml:2: /source/port: expected a value, found nothing',
    ],
    [
      GOOD.replace('2600', '"2600"'),
      'a.yaml:4: /source/port: expected a whole number from 0 to 65535',
    ],
    [`${GOOD}work: { concurrency: 0 }\n`, `a.yaml:5: ${WORK}/concurrency: expected`],
    [`${GOOD}batchAnswer: both\n`, 'a.yaml:5: /batchAnswer: expected one of messages, batch'],
    [
      'format: fhir\nbatchAnswer: batch\nsource: { kind: http }\n',
      'a.yaml:2: /batchAnswer: expected nothing, as the format is not hl7v2',
    ],
    [`${GOOD}work: { perSecond: 5 }\n`, `a.yaml:5: ${WORK}/perSecond: expected`],
    [`${GOOD}timezone: Mars/Base\n`, 'a.yaml:5: /timezone: expected an IANA time zone'],
    [`${GOOD}accepts: [ADT^A01, adt]\n`, 'a.yaml:5: /accepts/1'],
    [`${GOOD}orderBy: /mrn\n`, 'a.yaml:5: /orderBy: expected a field as PID-3.1'],
    [`${GOOD}format: fhir\n`, 'a.yaml:5: the file: expected YAML, found a fault (DUPLICATE_KEY)'],
    ['format: [\n', 'the file: expected YAML'],
    ['', 'a.yaml:1: the file: expected a value of type object, found null'],
    ['format: fhir\nsource: { kind: mllp, port: 1 }\n', 'a.yaml:1: /format: expected hl7v2'],
    ['format: json\nsource: { kind: http }\n', '/record: expected name and schema'],
    [
      `${GOOD}  tls: { certFile: no.pem, keyFile: no.key }\n`,
      'a.yaml:5: /source/tls/certFile: expected a readable PEM file, found ENOENT',
    ],
    [`${GOOD}retry: { firstDelayMs: 9000, delayMsMax: 10 }\n`, 'a.yaml:5: /retry/firstDelayMs'],
  ])('is refused with line and path: %j', (text, expected) => {
    const { channels, problems } = load({ 'a.yaml': text });
    expect(channels).toEqual([]);
    expect(problems.map(formatProblem).join('\n')).toContain(expected);
  });

  it('shows all its faults at once', () => {
    const text = `${GOOD}timezone: 7\ncharset: EBCDIC\nsite: ../up\n`;
    const paths = load({ 'a.yaml': text }).problems.map((one) => `${one.line} ${one.path}`);
    expect(paths).toEqual(['5 /timezone', '6 /charset', '7 /site']);
  });

  it('does not repeat what it read in a fault', () => {
    const text = `${GOOD}tenant: "Eve Everywoman"\n`;
    const [problem] = load({ 'a.yaml': text }).problems;
    expect(problem?.text).toContain('/tenant');
    expect(problem?.text).not.toContain('Everywoman');
  });

  it('has a name of small letters', () => {
    expect(load({ 'A b.yaml': GOOD }).problems[0]?.expected).toContain('a file name');
  });
});

describe('a folder of channels', () => {
  it('runs the good ones beside a bad one', () => {
    const { channels, problems } = load({ 'a.yaml': GOOD, 'b.yaml': 'format: x\n' });
    expect(channels.map((channel) => channel.name)).toEqual(['a']);
    expect(new Set(problems.map((one) => one.file))).toEqual(new Set(['b.yaml']));
  });

  it('refuses the second file on one port, unless it is disabled', () => {
    const clash = load({ 'a.yaml': GOOD, 'b.yaml': GOOD });
    expect(clash.channels.map((channel) => channel.name)).toEqual(['a']);
    expect(clash.problems.map(formatProblem)).toEqual([
      'b.yaml:4: /source/port: expected a free port, found the port of a.yaml',
    ]);
    expect(load({ 'a.yaml': GOOD, 'b.yaml': `${GOOD}enabled: false\n` }).problems).toEqual([]);
  });

  it('lets two addresses share a port, but not with a wildcard', () => {
    const on = (host: string) => `${GOOD}  host: ${host}\n`;
    expect(load({ 'a.yaml': on('127.0.0.1'), 'b.yaml': on('127.0.0.2') }).problems).toEqual([]);
    expect(load({ 'a.yaml': on('127.0.0.1'), 'b.yaml': on('0.0.0.0') }).problems).toHaveLength(1);
  });

  it('refuses a name that two files have', () => {
    const { channels, problems } = load({ 'a.yaml': GOOD, 'a.yml': GOOD.replace('2600', '2601') });
    expect(channels).toHaveLength(1);
    expect(problems[0]?.found).toBe('the same name as a.yaml');
  });

  it('tells when it cannot be read', () => {
    const context = { environment: {}, limits: defaultLimits() };
    expect(loadChannels('/nonexistent', context).problems[0]?.found).toBe('ENOENT');
  });
});

describe('variables', () => {
  it('are replaced, and keep the kind of a plain scalar', () => {
    const text = GOOD.replace('2600', '${P:-2600}');
    const port = (environment: Record<string, string>) =>
      load({ 'a.yaml': text }, environment).channels[0]?.source;
    expect(port({})).toMatchObject({ port: 2600 });
    expect(port({ P: '' })).toMatchObject({ port: 2600 });
    expect(port({ P: '2700' })).toMatchObject({ port: 2700 });
  });

  it('that are not set are a fault with line and name', () => {
    const { problems } = load({ 'a.yaml': GOOD.replace('2600', '${P}') });
    expect(problems[0]).toMatchObject({ line: 4, expected: 'the variable P' });
  });

  it('never become structure', () => {
    const text = `${GOOD}description: \${D}\n`;
    const { channels, problems } = load({ 'a.yaml': text }, { D: 'x\nenabled: false' });
    expect(problems).toEqual([]);
    expect(channels[0]?.enabled).toBe(true);
  });
});

describe('a record', () => {
  const record =
    'format: json\nsource: { kind: http }\nrecord: { name: visit, schema: s/v.json }\n';

  it('brings its JSON schema along', () => {
    const { channels } = load({ 'a.yaml': record, 's/v.json': '{"type":"object"}' });
    expect(channels[0]?.record).toEqual({ name: 'visit', schema: { type: 'object' } });
  });

  it.each([
    ['{', 'no JSON'],
    ['{"type":"objekt"}', 'a schema that does not compile'],
  ])('is refused with a broken schema: %j', (schema, found) => {
    const { problems } = load({ 'a.yaml': record, 's/v.json': schema });
    expect(problems[0]).toMatchObject({ line: 3, path: '/record/schema', found });
  });
});

describe('the channels of the project', () => {
  it('are valid, on ports that variables can move', () => {
    const environment = { ARTERY_ADT_PORT: '3575', ARTERY_LAB_PORT: '0' };
    const { channels, problems } = loadChannels(
      join(projectDir(), 'channels'),
      loadConfig(environment),
    );
    expect(problems.map(formatProblem)).toEqual([]);
    expect(channels.map((channel) => channel.name)).toEqual([
      'adt-inbound',
      'fhir-inbound',
      'lab-inbound',
      'rest-inbound',
    ]);
    expect(channels[0]?.source).toMatchObject({ port: 3575 });
    expect(channels[2]?.source).toMatchObject({ port: 0 });
  });
});

function load(
  files: Record<string, string>,
  environment: Record<string, string> = {},
  limits = defaultLimits(),
) {
  const folder = newFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return loadChannels(folder, { environment, limits });
}
