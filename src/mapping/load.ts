// Reads the mappings folder: the only file of this room that does I/O. What was read is checked
// and compiled by compile.ts; a file that cannot be read is a fault like any other.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compileMappings, type MappingSet } from './compile.ts';
import type { Example } from './example.ts';
import { fault, isFault, LAYERS, type MapFault, type MapSource, readSource } from './source.ts';

/**
 * Loads all maps below `dir`. Nothing is remembered between calls: the caller replaces its set
 * with the new one when it likes what it sees (no faults, examples pass), all at once. A file of
 * more bytes than the limit is a fault; who gives no limit takes files of any size.
 */
export async function loadMappings(
  dir: string,
  limits: { mappingFileBytesMax: number } = { mappingFileBytesMax: Infinity },
): Promise<{ set: MappingSet; faults: MapFault[] }> {
  const { mappingFileBytesMax: bytesMax } = limits;
  const faults: MapFault[] = [];
  const base = await readLayers(dir, '', bytesMax, faults);
  const sites = new Map<string, MapSource[]>();
  for (const site of await listFolder(join(dir, 'sites'))) {
    if (!NAME.test(site)) continue;
    sites.set(site, await readLayers(dir, `sites/${site}/`, bytesMax, faults));
  }
  const compiled = compileMappings(base, sites);
  return { set: compiled.set, faults: [...faults, ...compiled.faults] };
}

/** Reads the examples of the base and of each site, in order of their names. */
export async function loadExamples(dir: string): Promise<Example[]> {
  const examples = await readExamples(join(dir, 'examples'), '');
  for (const site of await listFolder(join(dir, 'sites'))) {
    if (!NAME.test(site)) continue;
    examples.push(...(await readExamples(join(dir, 'sites', site, 'examples'), site)));
  }
  return examples;
}

async function readExamples(root: string, site: string): Promise<Example[]> {
  const examples: Example[] = [];
  for (const message of await listFolder(root)) {
    for (const file of await listFolder(join(root, message))) {
      const match = /^(.+)\.(hl7|json)$/.exec(file);
      if (match === null || file.endsWith('.expected.json')) continue;
      const [, name = '', extension] = match;
      const expectedFile = join(root, message, `${name}.expected.json`);
      const expected = await readFile(expectedFile, 'utf8').catch(missing);
      const bytes = await readFile(join(root, message, file));
      const format = extension === 'hl7' ? 'hl7v2' : 'json';
      examples.push({ site, message, name, format, bytes, expected, expectedFile });
    }
  }
  return examples;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const FILES_MAX = 5000;

async function readLayers(
  dir: string,
  below: string,
  bytesMax: number,
  faults: MapFault[],
): Promise<MapSource[]> {
  const sources: MapSource[] = [];
  for (const layer of LAYERS) {
    for (const name of await listFolder(join(dir, below, layer))) {
      const file = `${below}${layer}/${name}`;
      if (!name.endsWith('.yaml') || !NAME.test(name)) {
        faults.push(fault(file, 0, '', 'Mapping files are named NAME.yaml; it was not read.'));
        continue;
      }
      if (sources.length >= FILES_MAX) {
        faults.push(fault(file, 0, '', `More than ${FILES_MAX} files.`));
        return sources;
      }
      const source = await readOne(dir, layer, file, bytesMax);
      if (isFault(source)) faults.push(source);
      else sources.push(source);
    }
  }
  return sources;
}

async function readOne(
  dir: string,
  layer: MapSource['layer'],
  file: string,
  bytesMax: number,
): Promise<MapSource | MapFault> {
  const path = join(dir, file);
  try {
    const { size } = await stat(path);
    if (size > bytesMax) {
      return fault(file, 0, '', `The file is larger than ${bytesMax} bytes (mappingFileBytesMax).`);
    }
    return readSource(layer, file, await readFile(path, 'utf8'));
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code ?? 'unknown';
    return fault(file, 0, '', `The file cannot be read (${code}).`);
  }
}

/** Names in a folder, sorted, hidden ones left out; none when there is no such folder. */
async function listFolder(path: string): Promise<string[]> {
  const names = await readdir(path).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR') return [];
    throw thrown;
  });
  return names.filter((name) => !name.startsWith('.')).sort();
}

function missing(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code === 'ENOENT') return undefined;
  throw thrown;
}
