// Public sample messages through the pipeline: no crash, no silent loss. Needs ../shared/data.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { validateResource } from '../../src/fhir/validate.ts';
import { loadMappings } from '../../src/mapping/load.ts';
import { hasErrors } from '../../src/model/issue.ts';
import { runPipeline } from '../../src/pipeline/run.ts';
import { CHANNEL, ENVELOPE } from '../mapping/build.ts';

const ROOT = '../shared/data/hl7v2';
const absent = !existsSync(ROOT);

describe('every sample message', () => {
  it.skipIf(absent)('is mapped or has an error (skipped without ../shared/data)', async () => {
    const { set } = await loadMappings('mappings');
    const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.hl7'),
    );
    expect(files.length).toBeGreaterThan(700);
    const odd = files.filter((file) => {
      const raw = readFileSync(join(ROOT, file));
      const input = { raw, envelope: ENVELOPE, channel: CHANNEL };
      const output = runPipeline(input, { mappings: set, validateResource, account: true });
      const mapped = output.resources.length > 0 && output.accounts.length > 0;
      return hasErrors(output.issues) === mapped;
    });
    expect(odd).toEqual([]);
  });
});
