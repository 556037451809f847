// One fuzz run: kinds of input one after the other, each for a while, against one started server
// (frames, requests, documents) or in this process (files). Everything follows from the seed.
import { join } from 'node:path';
import { projectDir } from '../../src/config/config.ts';
import { loadExamples } from '../../src/mapping/load.ts';
import { fuzzChannel, fuzzMapping, openMappings } from './file-target.ts';
import { fuzzDocument, fuzzRequest } from './http-target.ts';
import { fuzzFrame } from './mllp-target.ts';
import { Random } from './random.ts';
import { channelSeeds, hl7Seeds, mappingSeeds, recordSeeds, resourceSeeds } from './seeds.ts';
import { startWatched, type Watched } from './server.ts';

export const TARGETS = [
  'frames',
  'requests',
  'resources',
  'bundles',
  'records',
  'channels',
  'mappings',
] as const;
export type Target = (typeof TARGETS)[number];

export interface FuzzOptions {
  folder: string;
  seed: number;
  targets: readonly Target[];
  /** Each target runs so long. */
  msEach: number;
  note(text: string): void;
}

export interface FuzzResult {
  faults: string[];
  /** Inputs tried. */
  counts: Partial<Record<Target, number>>;
}

/** Main thread's longest silence that is no fault; see HANGS_MIN. */
const SILENCE_MS = 1_000;
/** Inputs under way at the same time. */
const TOGETHER = 4;
const ROUND_MS = 2_500;
/** Memory may grow so far after the first minute before it counts as growing. */
const GROWTH = 1.25;

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const counts: FuzzResult['counts'] = {};
  const server = await startWatched(options.folder);
  const memory = watchMemory(server);
  try {
    for (const target of options.targets) {
      const act = await actOf(target, server, options.folder);
      counts[target] = await runTarget(target, act, server, options);
      options.note(`fuzz: ${target}: ${counts[target]} inputs, ${server.faults.length} faults`);
    }
    await server.settle().catch((thrown: Error) => server.report(thrown.message));
    memory.check();
  } finally {
    await server.stop();
  }
  return { faults: server.faults, counts };
}

/** Tries one input. */
type Act = (random: Random) => Promise<void> | void;

async function runTarget(
  target: Target,
  act: Act,
  server: Watched,
  { seed, msEach }: FuzzOptions,
): Promise<number> {
  const end = performance.now() + msEach;
  let count = 0;
  for (let round = 0; performance.now() < end; round += 1) {
    const first = await runRound(act, server, seed + round);
    count += first.count;
    if (first.silentMs <= SILENCE_MS) continue;
    // A busy machine makes one long silence; an input that holds the server makes it again.
    const again = await runRound(act, server, seed + round);
    if (again.silentMs <= SILENCE_MS) continue;
    const ms = Math.round(again.silentMs);
    server.report(`${target}: the main thread was silent for ${ms} ms, seed ${seed + round}`);
  }
  return count;
}

/** The same seed tries the same inputs, as far as the time goes. */
async function runRound(
  act: Act,
  server: Watched,
  seed: number,
): Promise<{ count: number; silentMs: number }> {
  const random = new Random(seed);
  const end = performance.now() + ROUND_MS;
  let count = 0;
  server.takeLongestMs();
  const worker = async () => {
    while (performance.now() < end) {
      count += 1;
      await act(random);
      // A file target never waits: the others must run, too.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, worker));
  return { count, silentMs: server.takeLongestMs() };
}

async function actOf(target: Target, server: Watched, folder: string): Promise<Act> {
  switch (target) {
    case 'frames': {
      const seeds = hl7Seeds();
      return (random) => fuzzFrame(random, seeds, server);
    }
    case 'requests':
      return (random) => fuzzRequest(random, server);
    case 'resources': {
      const seeds = resourceSeeds();
      return (random) => {
        const resource = random.pick(seeds);
        const place = `/fhir/R4/${resource.resourceType}`;
        const update = random.chance(0.5);
        const path = update ? `${place}/${resource.id}` : place;
        const method = update ? 'PUT' : 'POST';
        return fuzzDocument(
          random,
          resource,
          { method, path, type: 'application/fhir+json' },
          server,
        );
      };
    }
    case 'bundles': {
      const seeds = resourceSeeds();
      const target = {
        method: 'POST',
        path: '/channels/fhir-inbound',
        type: 'application/fhir+json',
      } as const;
      return (random) => fuzzDocument(random, bundleOf(random, seeds), target, server);
    }
    case 'records': {
      const seeds = recordSeeds();
      const target = {
        method: 'POST',
        path: '/channels/rest-inbound',
        type: 'application/json',
      } as const;
      return (random) => fuzzDocument(random, random.pick(seeds), target, server);
    }
    case 'channels': {
      const seeds = channelSeeds();
      return (random) => fuzzChannel(random, seeds, join(folder, 'fuzzed'), server.report);
    }
    case 'mappings': {
      const examples = await loadExamples(join(projectDir(), 'mappings'));
      const files = openMappings(mappingSeeds(), examples);
      return (random) => fuzzMapping(random, files, server.report);
    }
  }
}

function bundleOf(random: Random, seeds: { resourceType: string; id: string }[]): unknown {
  const entry = Array.from({ length: 1 + random.below(5) }, () => {
    const resource = random.pick(seeds);
    const { resourceType, id } = resource;
    const put = { method: 'PUT', url: `${resourceType}/${id}` };
    const post = { method: 'POST', url: resourceType };
    return { fullUrl: `urn:uuid:${id}`, resource, request: random.chance(0.5) ? put : post };
  });
  return { resourceType: 'Bundle', type: random.pick(['transaction', 'batch', 'message']), entry };
}

/** Means of ten seconds; those of the second minute are what the last minute is compared with. */
function watchMemory(server: Watched): { check(): void } {
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(server.memoryMiB()), 1_000);
  timer.unref();
  return {
    check() {
      clearInterval(timer);
      const warm = samples.slice(60, 120);
      const last = samples.slice(-60);
      if (samples.length < 240) return;
      const [early, late] = [mean(warm), mean(last)];
      if (late > early * GROWTH) {
        server.report(`memory grew from ${Math.round(early)} to ${Math.round(late)} MiB`);
      }
    },
  };
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
