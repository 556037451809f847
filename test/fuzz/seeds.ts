// What the fuzz run starts from: the project's own examples and sample resources.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { projectDir } from '../../src/config/config.ts';
import { LAYERS, type Layer } from '../../src/mapping/source.ts';
import { encounter, observation, patient } from '../fhir/samples.ts';
import { adt, oru } from '../support/messages.ts';

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(projectDir(), folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(projectDir(), folder, name));
}

/** HL7v2 texts with CR between segments, byte for byte as latin1. */
export function hl7Seeds(): string[] {
  const examples = filesBelow('mappings/examples', '.hl7').map((file) =>
    readFileSync(file, 'latin1').replace(/\r\n|\n/g, '\r'),
  );
  const made = [adt({ rest: 'NK1|1|Doe^Jane|SPO' }), oru()].map((text) =>
    text.replaceAll('\n', '\r'),
  );
  return [...examples, ...made];
}

/** Resources as clients write them: those that the examples of the maps give, and samples. */
export function resourceSeeds(): { resourceType: string; id: string }[] {
  const mapped = filesBelow('mappings/examples', '.expected.json').flatMap((file) =>
    (
      JSON.parse(readFileSync(file, 'utf8')) as { resource: { resourceType: string; id: string } }[]
    ).map(({ resource }) => resource),
  );
  return [patient(), observation(), encounter(), ...mapped].filter(
    ({ resourceType }) => resourceType !== 'Provenance',
  );
}

export function recordSeeds(): unknown[] {
  return filesBelow('mappings/examples', '.json')
    .filter((file) => !file.endsWith('.expected.json'))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as unknown);
}

export function channelSeeds(): string[] {
  return filesBelow('channels', '.yaml').map((file) => readFileSync(file, 'utf8'));
}

export function mappingSeeds(): { layer: Layer; file: string; text: string }[] {
  return LAYERS.flatMap((layer) =>
    filesBelow(join('mappings', layer), '.yaml').map((path) => ({
      layer,
      file: `${layer}/${basename(path)}`,
      text: readFileSync(path, 'utf8'),
    })),
  );
}
