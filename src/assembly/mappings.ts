// The maps that are in force: loaded at start, and replaced all at once, and only when every file
// compiles and every example still gives what it should. What is refused leaves the old ones.
import { validateResource } from '../fhir/validate.ts';
import type { MappingSet } from '../mapping/compile.ts';
import { loadExamples, loadMappings } from '../mapping/load.ts';
import { type ExampleResult, runExamples } from '../pipeline/example.ts';

export interface FileProblem {
  file: string;
  line: number;
  text: string;
}

type Limits = { mappingFileBytesMax: number };

export interface LoadedMappings {
  /** Message maps in force. */
  maps: number;
  /** Why files were refused; with one of them a reload changes nothing. */
  problems: FileProblem[];
  /** The maps in force have faults: nothing older was there to stay. */
  faulty: boolean;
  /** Per site the types with a map, and those whose map was left out for its faults. */
  types: ReadonlyMap<string, ServedTypes>;
}

/** Types as `ADT^A01`. */
export interface ServedTypes {
  served: ReadonlySet<string>;
  broken: ReadonlySet<string>;
}

export interface Mappings {
  readonly current: MappingSet;
  /** What came of the first load. */
  readonly first: LoadedMappings;
  /** Reads the folder anew; calls run one after the other. */
  reload(): Promise<LoadedMappings>;
}

/** At start there is nothing older: what compiles is taken, and what is wrong is told. */
export async function openMappings(folder: string, limits: Limits): Promise<Mappings> {
  const first = await readFolder(folder, limits);
  let current = first.set;
  let faulty = first.problems.length > 0;
  let running: Promise<unknown> = Promise.resolve();
  const reload = async (): Promise<LoadedMappings> => {
    const read = await readFolder(folder, limits).catch(unreadable);
    if ('set' in read && read.problems.length === 0) {
      current = read.set;
      faulty = false;
    }
    return told(current, read.problems, faulty);
  };
  return {
    get current() {
      return current;
    },
    first: told(first.set, first.problems, faulty),
    reload() {
      const next = running.then(reload);
      running = next;
      return next;
    },
  };
}

function told(set: MappingSet, problems: FileProblem[], faulty: boolean): LoadedMappings {
  return { maps: countMaps(set), problems, faulty, types: typesOf(set) };
}

/** Per site the message types that it serves. */
export function typesOf(set: MappingSet): ReadonlyMap<string, ServedTypes> {
  const types = new Map<string, ServedTypes>();
  for (const [site, { events, broken }] of set.sites) {
    types.set(site, { served: new Set(events.keys()), broken });
  }
  return types;
}

async function readFolder(
  folder: string,
  limits: Limits,
): Promise<{ set: MappingSet; problems: FileProblem[] }> {
  const { set, faults } = await loadMappings(folder, limits);
  const problems = faults.map(({ file, line, text }) => ({ file, line, text }));
  if (problems.length > 0) return { set, problems };
  const { results } = runExamples(set, await loadExamples(folder), validateResource);
  return { set, problems: results.flatMap(problemOf) };
}

/** A folder that is being replaced, or whose rights were taken away. */
function unreadable(thrown: unknown): { problems: FileProblem[] } {
  const code = (thrown as NodeJS.ErrnoException).code ?? 'unknown';
  return { problems: [{ file: '', line: 0, text: `The mappings cannot be read (${code}).` }] };
}

function problemOf({ example, outcome, line, issues }: ExampleResult): FileProblem[] {
  const folder = example.site === '' ? '' : `sites/${example.site}/`;
  const file = `${folder}examples/${example.message}/${example.name}`;
  if (outcome === 'differs') {
    const text = `The example gives another result from line ${line} on; see artery map test.`;
    return [{ file: `${file}.expected.json`, line, text }];
  }
  if (outcome !== 'failed') return [];
  const error = issues.find(({ severity }) => severity === 'error');
  const text = `The example cannot be mapped: ${error?.at ?? ''} ${error?.text ?? ''}`;
  return [{ file: `${file}.expected.json`, line: 0, text }];
}

function countMaps(set: MappingSet): number {
  return set.sites.get('')?.messages.size ?? 0;
}
