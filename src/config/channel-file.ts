// One channel file: text to YAML to a checked, frozen Channel, each fault with its line.
// It knows nothing of the other files; clashes between files are found in channels.ts.

import { readFileSync, statSync } from 'node:fs';
import { dirname, parse, resolve } from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import type { Channel } from '../model/channel.ts';
import { type ChannelText, checkRules } from './channel-rules.ts';
import { channelSchema } from './channel-schema.ts';
import type { Environment } from './config.ts';
import { expandVariables } from './expand.ts';
import { type ConfigProblem, kindOf, problem, readFinding } from './faults.ts';
import type { Limits } from './limits.ts';

/** A Config fits. `httpPort` is taken already, no MLLP channel may use it. */
export interface ChannelContext {
  environment: Environment;
  limits: Limits;
  httpPort?: number;
  /** Address of a source that names none; absent = 127.0.0.1. */
  host?: string;
  /** Where `site` is looked up; absent = not at all. */
  mappingsDir?: string;
  /** Which channel listens on a port, or did last: that one keeps it. Asked at each load. */
  portOwners?: () => ReadonlyMap<number, string>;
}

export type ChannelFile =
  | { channel: Channel; lineOf: (path: string) => number }
  | { problems: ConfigProblem[] };

/** `shown` is the name of the file in problems. */
export function readChannelFile(file: string, shown: string, context: ChannelContext): ChannelFile {
  const text = readText(file, context.limits.channelFileBytesMax);
  if ('reason' in text) return { problems: [problem(shown, 0, '', text.expected, text.reason)] };
  const lines = new LineCounter();
  const document = parseDocument(text.text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const broken = document.errors.map((error) =>
    problem(shown, lineAt(error.pos[0]), '', 'YAML', `a fault (${error.code})`),
  );
  if (broken.length > 0) return { problems: broken };
  const missing = expandVariables(document, context.environment).map((variable) =>
    problem(shown, lineAt(variable.offset), '', `the variable ${variable.name}`, 'nothing'),
  );
  const lineOf = (path: string): number => lineAt(offsetOf(document, path));
  const checked = checkDocument(document, file, context);
  const faults = checked.faults.map((fault) =>
    problem(shown, lineOf(fault.path), fault.path, fault.expected, fault.found),
  );
  const problems = [...missing, ...faults];
  if (problems.length > 0 || checked.channel === undefined) return { problems };
  return { channel: checked.channel, lineOf };
}

interface Fault {
  path: string;
  expected: string;
  found: string;
}

function checkDocument(
  document: Document,
  file: string,
  context: ChannelContext,
): { channel?: Channel; faults: Fault[] } {
  const content = toContent(document);
  if ('fault' in content) return { faults: [content.fault] };
  const validate = compileSchema(context.limits);
  if (!validate(content.value))
    return { faults: (validate.errors ?? []).filter(isCause).map(readFinding) };
  const { host = '127.0.0.1', mappingsDir = '' } = context;
  const folder = dirname(resolve(file));
  const text = content.value as ChannelText;
  return checkRules(text, parse(file).name, folder, { host, mappingsDir });
}

/** A document with too many aliases throws in yaml itself. */
function toContent(document: Document): { value: unknown } | { fault: Fault } {
  try {
    return { value: document.toJS({ maxAliasCount: 20 }) };
  } catch {
    return { fault: { path: '', expected: 'at most 20 aliases', found: 'more' } };
  }
}

function compileSchema(limits: Limits): ValidateFunction {
  const options = { allErrors: true, verbose: true, useDefaults: true, discriminator: true };
  const ajv = new Ajv({ ...options, keywords: ['expected'] });
  return ajv.compile(channelSchema(limits));
}

/** `if` and `oneOf` only repeat what their branches have told. */
function isCause(error: ErrorObject): boolean {
  return error.keyword !== 'if' && error.keyword !== 'oneOf';
}

function readText(
  file: string,
  bytesMax: number,
): { text: string } | { expected: string; reason: string } {
  try {
    const bytes = statSync(file).size;
    if (bytes > bytesMax)
      return { expected: `at most ${bytesMax} bytes`, reason: `${bytes} bytes` };
    return { text: readFileSync(file, 'utf8') };
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? kindOf(error);
    return { expected: 'a readable file', reason };
  }
}

/** Where `path` stands, or the nearest thing above it that exists. Keys are preferred to values. */
function offsetOf(document: Document, path: string): number {
  const parts = path.split('/').slice(1);
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const part of parts) {
    const next = step(node, part);
    if (next === undefined) break;
    offset = next.offset ?? offset;
    node = next.node;
  }
  return offset;
}

function step(node: unknown, part: string): { node: unknown; offset?: number } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part);
    if (pair === undefined) return undefined;
    return { node: pair.value, offset: isNode(pair.key) ? pair.key.range?.[0] : undefined };
  }
  const items = (node as { items?: unknown[] } | null)?.items;
  const item = items?.[Number(part)];
  return item === undefined
    ? undefined
    : { node: item, offset: isNode(item) ? item.range?.[0] : undefined };
}
