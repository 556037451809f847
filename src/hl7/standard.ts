// Reads a message with the package hl7-standard, guarded: only what it is known to read rightly,
// compared leaf by leaf and as a whole with our own tokenizer. A difference is an error, so that a
// wrong value never leaves this file. Nothing else imports that package.
import HL7 from 'hl7-standard';
import type { Issue } from '../model/issue.ts';
import { DEFAULT_DELIMITERS } from './delimiters.ts';
import type { Message, Segment } from './message.ts';
import { parseMessage } from './message.ts';
import { issueAt } from './path.ts';

/** Raw (undecoded) texts: fields[n][repetition][component][subcomponent], field n from 0 = 1. */
export interface StandardSegment {
  name: string;
  /** Of MSH the first entry is MSH-2. */
  fields: string[][][][];
}

/**
 * What hl7-standard makes of the text. `segments` is absent, and an issue says why, where the text
 * is outside of what it can read (other delimiters, a batch) or where it reads it differently.
 */
export function readWithStandard(text: string): { segments?: StandardSegment[]; issues: Issue[] } {
  const own = parseMessage(text);
  const refusal = findRefusal(own);
  if (refusal !== undefined) return { issues: [refusal] };
  const read = runPackage(text);
  if (read === undefined) return { issues: [refuse('MSH', 'hl7-standard cannot read it.')] };
  if (normalize(read.written) !== normalize(text)) {
    return { issues: [refuse('MSH', 'hl7-standard does not write it back as it was.')] };
  }
  const difference = findDifference(own, read.segments);
  if (difference !== undefined) {
    return { issues: [refuse(difference, 'hl7-standard reads another value here.')] };
  }
  return { segments: read.segments, issues: [] };
}

function findRefusal(message: Message): Issue | undefined {
  const error = message.issues.find((issue) => issue.severity === 'error');
  if (error !== undefined) return error;
  if (message.delimiters !== DEFAULT_DELIMITERS || message.segments[0]?.name !== 'MSH') {
    return refuse('MSH-2', 'Only messages with the default delimiters can be read.');
  }
  return undefined;
}

function runPackage(text: string): { segments: StandardSegment[]; written: string } | undefined {
  try {
    const reader = new HL7(text);
    let failed: Error | null = null;
    reader.transform((error) => {
      failed = error;
    });
    if (failed !== null) return undefined;
    const segments = Object.values(reader.transformed).flat();
    segments.sort((left, right) => left.index - right.index);
    return { segments: segments.map(toSegment), written: reader.build() };
  } catch {
    // The package throws on several kinds of data; that it cannot read them is the answer.
    return undefined;
  }
}

function toSegment(read: { type: string; data: Record<string, unknown> }): StandardSegment {
  return { name: read.type, fields: Object.values(read.data).map(toField) };
}

/** Its shapes: text; object of components; array of objects (repetitions) or of texts (`A&B`). */
function toField(value: unknown): string[][][] {
  if (!Array.isArray(value)) return [toComponents(value)];
  if (value.every((item) => typeof item === 'string')) return [[value]];
  return value.map(toComponents);
}

function toComponents(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[String(value)]];
  return Object.values(value).map((part) => (Array.isArray(part) ? part : [String(part)]));
}

/** Place of the first value that the two readers do not share. */
function findDifference(own: Message, read: readonly StandardSegment[]): string | undefined {
  if (own.segments.length !== read.length) return 'MSH';
  for (const [index, segment] of own.segments.entries()) {
    const other = read[index];
    if (other === undefined || other.name !== segment.name) return segment.location;
    if (!sameFields(segment, other)) return segment.location;
  }
  return undefined;
}

function sameFields(segment: Segment, other: StandardSegment): boolean {
  const skipped = segment.name === 'MSH' ? 1 : 0;
  if (segment.fieldCount - skipped !== other.fields.length) return false;
  return other.fields.every((field, index) => {
    const value = segment.field(index + 1 + skipped);
    const mine =
      value.level === 4
        ? [[[value.raw]]]
        : value.parts.map((r) => r.parts.map((c) => c.parts.map((leaf) => leaf.raw)));
    return JSON.stringify(mine) === JSON.stringify(field);
  });
}

/** It ends lines with CRLF and every segment with a separator: neither carries data. */
function normalize(text: string): string {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.replace(/\|+$/, ''))
    .filter((line) => line !== '')
    .join('\r');
}

function refuse(at: string, text: string): Issue {
  return issueAt(at, 'error', 'not-supported', text);
}
