// The form of a configuration fault, and how an ajv finding becomes one.
// A fault names the place and the kind of what was found, never a value: values may be secrets.
import type { ErrorObject } from 'ajv';

/** One fault of one file. `line` is 1-based, 0 = the file as a whole. */
export interface ConfigProblem {
  file: string;
  line: number;
  /** `/source/port`, '' = the whole file. */
  path: string;
  expected: string;
  /** Kind of what was found: `text`, `number`, `nothing`. */
  found: string;
  /** The whole fault in one sentence. */
  text: string;
}

export function problem(
  file: string,
  line: number,
  path: string,
  expected: string,
  found: string,
): ConfigProblem {
  const place = path === '' ? 'the file' : path;
  return {
    file,
    line,
    path,
    expected,
    found,
    text: `${place}: expected ${expected}, found ${found}`,
  };
}

/** `channels/a.yaml:4: /source/port: expected …, found …` */
export function formatProblem(fault: ConfigProblem): string {
  return `${fault.file}${fault.line > 0 ? `:${fault.line}` : ''}: ${fault.text}`;
}

/** What kind of value it is, without the value itself. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value === '') return 'empty text';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a fraction';
  if (typeof value === 'boolean') return 'true or false';
  return 'an object';
}

/** Place and expectation of one ajv finding; needs `verbose: true` for `data`. */
export function readFinding(error: ErrorObject): { path: string; expected: string; found: string } {
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'required') {
    return {
      path: `${error.instancePath}/${String(params.missingProperty)}`,
      expected: 'a value',
      found: 'nothing',
    };
  }
  if (error.keyword === 'additionalProperties') {
    const path = `${error.instancePath}/${String(params.additionalProperty)}`;
    return { path, expected: `one of ${knownNames(error)}`, found: 'an unknown name' };
  }
  if (error.keyword === 'discriminator') {
    const path = `${error.instancePath}/${String(params.tag)}`;
    const found = params.tagValue === undefined ? 'nothing' : 'another value';
    return { path, expected: `one of ${knownTags(error, String(params.tag))}`, found };
  }
  return { path: error.instancePath, expected: expectation(error), found: kindOf(error.data) };
}

function knownNames(error: ErrorObject): string {
  const properties = (error.parentSchema as { properties?: object } | undefined)?.properties ?? {};
  return Object.keys(properties).join(', ');
}

function knownTags(error: ErrorObject, tag: string): string {
  const branches = (error.parentSchema as { oneOf: { properties: Record<string, object> }[] })
    .oneOf;
  const tags = branches.map((branch) => branch.properties[tag] as { const?: string });
  return tags.map((one) => one.const).join(', ');
}

function expectation(error: ErrorObject): string {
  const schema = (error.parentSchema ?? {}) as Record<string, unknown>;
  if (typeof schema.expected === 'string') return schema.expected;
  if (error.keyword === 'enum') return `one of ${(schema.enum as unknown[]).join(', ')}`;
  if (error.keyword === 'const') return `the value ${String(schema.const)}`;
  if (schema.type === 'integer' && schema.minimum !== undefined) {
    return `a whole number from ${String(schema.minimum)} to ${String(schema.maximum)}`;
  }
  if (error.keyword === 'type') return `a value of type ${String(schema.type)}`;
  return `a value that ${error.message ?? 'fits'}`;
}
