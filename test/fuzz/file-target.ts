// Mutated channel and mapping files: every fault is told as one, nothing is thrown, nothing takes
// for ever, and a set of maps that was compiled runs the examples without an exception.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadChannels } from '../../src/config/channels.ts';
import { defaultLimits } from '../../src/config/limits.ts';
import { validateResource } from '../../src/fhir/validate.ts';
import { compileMappings } from '../../src/mapping/compile.ts';
import type { Example } from '../../src/mapping/example.ts';
import { isFault, type MapSource, readSource } from '../../src/mapping/source.ts';
import { runExamples } from '../../src/pipeline/example.ts';
import { mutateText, ODD_TEXTS } from './mutate-text.ts';
import type { Random } from './random.ts';
import type { mappingSeeds } from './seeds.ts';

const YAML = [
  '\n  - ',
  ': ',
  '&a ',
  '*a',
  '!!js ',
  '{',
  '}',
  '[',
  ']',
  '|',
  '>',
  '#',
  '"',
  '---\n',
  '<<: ',
]
  .concat(['from', 'to', 'using', 'when', 'table', 'ignore', 'expr', 'PID-3', 'PID-3.1.1', 'ref'])
  .concat(['PID-99999', 'identifier[]', 'nosuch.thing', 'name[999999999].family', 'toString']);
const ODD = [...ODD_TEXTS, ...YAML];
/** CPU time that one file may take, as a multiple of what the unchanged ones take. */
const SLOW = 20;

type Report = (what: string, input?: string) => void;

export interface MappingFiles {
  seeds: ReturnType<typeof mappingSeeds>;
  sources: MapSource[];
  examples: Example[];
  /** CPU ms that the unchanged files take. */
  usualMs: number;
}

export function openMappings(seeds: MappingFiles['seeds'], examples: Example[]): MappingFiles {
  const read = seeds.map(({ layer, file, text }) => readSource(layer, file, text));
  const sources = read.filter((source) => !isFault(source)) as MapSource[];
  const files = { seeds, sources, examples, usualMs: 0 };
  useMappings(files, sources);
  return { ...files, usualMs: cpuMs(() => useMappings(files, sources)) };
}

export function fuzzMapping(random: Random, files: MappingFiles, report: Report): void {
  const seed = random.pick(files.seeds);
  const text = mutateText(random, seed.text, ODD);
  try {
    const ms = cpuMs(() => {
      const source = readSource(seed.layer, seed.file, text);
      if (isFault(source)) return;
      useMappings(
        files,
        files.sources.map((one) => (one.file === seed.file ? source : one)),
      );
    });
    if (ms > SLOW * files.usualMs) report(`${seed.file} takes ${Math.round(ms)} ms`, text);
  } catch (thrown) {
    report(`${seed.file}: ${thrown instanceof Error ? thrown.message : 'thrown'}`, text);
  }
}

function useMappings({ examples }: MappingFiles, sources: MapSource[]): void {
  runExamples(compileMappings(sources).set, examples, validateResource);
}

export function fuzzChannel(random: Random, seeds: string[], folder: string, report: Report): void {
  const text = mutateText(random, random.pick(seeds), ODD);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  writeFileSync(join(folder, 'channel.yaml'), text);
  try {
    const { channels, problems } = loadChannels(folder, {
      environment: {},
      limits: defaultLimits(),
    });
    if (channels.length + problems.length === 0) report('a channel file vanished', text);
    const faceless = problems.find((problem) => problem.file !== 'channel.yaml');
    if (faceless !== undefined) report('a fault of a channel file names no file', text);
  } catch (thrown) {
    report(`channel file: ${thrown instanceof Error ? thrown.message : 'thrown'}`, text);
  }
}

/** CPU time, so that a busy machine does not count. */
function cpuMs(run: () => void): number {
  const begun = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000;
}
