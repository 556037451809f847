// Runs the examples of the message maps: input through the pipeline, output compared with the
// expected text. The texts come from mapping/load.ts.
import type { MappingSet } from '../mapping/compile.ts';
import type { Example } from '../mapping/example.ts';
import type { Channel } from '../model/channel.ts';
import type { Issue } from '../model/issue.ts';
import type { MappedResource } from '../model/resource.ts';
import { runPipeline } from './run.ts';

export interface ExampleResult {
  example: Example;
  outcome: 'passed' | 'differs' | 'failed' | 'no-expectation';
  issues: Issue[];
  /** What `<case>.expected.json` should hold. */
  actual: string;
  /** First line that differs, 1-based; 0 = none. */
  line: number;
}

/** The message id of every example. */
export const EXAMPLE_MESSAGE_ID = '00000000-0000-7000-8000-000000000001';

/**
 * Runs all examples, and tells which message maps have none.
 */
export function runExamples(
  mappings: MappingSet,
  examples: readonly Example[],
  validateResource: (resource: unknown) => Issue[],
): { results: ExampleResult[]; without: string[] } {
  const results = examples.map((example) => runExample(mappings, example, validateResource));
  const covered = new Set(examples.map(({ message }) => message));
  const names = [...(mappings.sites.get('')?.messages.keys() ?? [])];
  return { results, without: names.filter((name) => !covered.has(name)) };
}

function runExample(
  mappings: MappingSet,
  example: Example,
  validateResource: (resource: unknown) => Issue[],
): ExampleResult {
  const raw = fillExample(example);
  const record = example.format === 'json' ? example.message : '';
  const channel = { ...exampleChannel(example.format, record), site: example.site };
  const output = runPipeline(
    { raw, envelope: exampleEnvelope(example.format, record), channel },
    { mappings, validateResource },
  );
  const resources = output.resources
    .filter(({ resource }) => resource.resourceType !== 'Provenance')
    .map(expectationOf);
  const actual = `${JSON.stringify(resources, null, 2)}\n`;
  const line = example.expected === undefined ? 0 : firstDifference(example.expected, actual);
  const failed = output.issues.some(({ severity }) => severity === 'error');
  const outcome = failed
    ? 'failed'
    : example.expected === undefined
      ? 'no-expectation'
      : line === 0
        ? 'passed'
        : 'differs';
  return { example, outcome, issues: output.issues, actual, line };
}

/** What meets the stored resource how: `initial` and `union` only where there are some. */
function expectationOf({ mode, cleared, initial, union, resource }: MappedResource): object {
  return { mode, cleared, initial, union, resource };
}

/** Byte for byte, whatever the charset: LF becomes CR, the names of the load generator values. */
function fillExample({ bytes, format }: Example): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  const message = format === 'hl7v2' ? text.replaceAll(/\r\n|\n/g, '\r') : text;
  const filled = message.replaceAll('{{ID}}', 'EXAMPLE').replaceAll('{{PID}}', 'P1');
  return Buffer.from(filled, 'latin1');
}

function firstDifference(expected: string, actual: string): number {
  const [left, right] = [expected.trimEnd().split(/\r?\n/), actual.trimEnd().split('\n')];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    if (left[i] !== right[i]) return i + 1;
  }
  return 0;
}

function exampleEnvelope(format: Example['format'], type: string) {
  return {
    id: EXAMPLE_MESSAGE_ID,
    tenant: 'default',
    channel: 'example',
    format,
    receivedAt: '2026-01-01T00:00:00.000Z',
    sender: '',
    controlId: '',
    type,
    subject: '',
    orderingKey: '',
  };
}

function exampleChannel(format: Example['format'], record: string): Channel {
  return {
    name: 'example',
    enabled: true,
    tenant: 'default',
    format,
    source: { kind: 'http', bodyBytesMax: 1_000_000 },
    timezone: 'Europe/Berlin',
    accepts: [],
    processingIds: ['P'],
    otherProcessing: 'refuse',
    charset: '',
    orderBy: 'PID-3.1',
    site: '',
    record: record === '' ? null : { name: record, schema: {} },
    retry: { attempts: 1, firstDelayMs: 0, delayMsMax: 0 },
  };
}
