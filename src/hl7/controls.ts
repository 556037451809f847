// Characters that FHIR texts must not hold: C0 (but TAB, LF, CR), DEL, C1, U+FFFE and U+FFFF, as
// they are or as \X..\. The received bytes are kept by others; this makes the text that is mapped.
import type { Issue } from '../model/issue.ts';
import { escapeText } from './escape.ts';
import { leafLocation, visitLeaves } from './leaves.ts';
import { Message, Segment } from './message.ts';
import { issueAt } from './path.ts';
import type { Value } from './value.ts';

/**
 * The message with those characters replaced, and a warning for each place. In OBX-5 and NTE-3
 * (text for people) FF, VT and NEL become a line feed; everything else becomes U+FFFD, which no
 * identifier or code may hold. The same message when there is nothing to replace.
 */
export function replaceControls(message: Message): { message: Message; issues: Issue[] } {
  const suspects = new Set(message.segments.filter(isSuspect));
  if (suspects.size === 0) return { message, issues: [] };
  const replaced = new Map<Value, string>();
  const issues: Issue[] = [];
  visitLeaves(message, (leaf) => {
    const { segment, field, value } = leaf;
    if (value.level === 4 || !suspects.has(segment)) return;
    const text = replaceIn(value.text, isProse(segment.name, field));
    if (text === value.text) return;
    replaced.set(value, escapeIn(text, value));
    if (replaced.size <= CONTROLS_MAX) issues.push(issueAt(leafLocation(leaf), ...REPLACED));
  });
  if (replaced.size === 0) return { message, issues };
  if (replaced.size > CONTROLS_MAX) {
    const text = `Control characters were replaced in ${replaced.size - CONTROLS_MAX} more places.`;
    issues.push(issueAt('MSH', 'warning', 'value', text));
  }
  const segments = message.segments.map((segment) => {
    if (!suspects.has(segment)) return segment;
    const { name, occurrence, end, delimiters } = segment;
    return new Segment(name, occurrence, rebuild(segment, replaced), end, delimiters);
  });
  return {
    message: new Message(message.delimiters, segments, message.issues, message.prefix),
    issues,
  };
}

const REPLACED = ['warning', 'value', 'Control characters were replaced.'] as const;
const CONTROLS_MAX = 100;
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]/;
const BREAKS = /[\x0b\x0c\x85]/g;

/** Cheap and sure: a segment that is not suspect has none of them. */
function isSuspect({ raw, delimiters }: Segment): boolean {
  if (FORBIDDEN.test(raw)) return true;
  return delimiters.escape !== '' && raw.includes(`${delimiters.escape}X`);
}

function isProse(segment: string, field: number): boolean {
  return (segment === 'OBX' && field === 5) || (segment === 'NTE' && field === 3);
}

/** Lone surrogates too, which cannot come from bytes but from a text that was made otherwise. */
function replaceIn(text: string, prose: boolean): string {
  const broken = prose ? text.replaceAll(BREAKS, '\n') : text;
  return broken.replaceAll(new RegExp(FORBIDDEN, 'g'), '\ufffd').toWellFormed();
}

function escapeIn(text: string, { delimiters }: Value): string {
  return delimiters.escape === '' ? text : escapeText(text, delimiters);
}

function rebuild(segment: Segment, replaced: ReadonlyMap<Value, string>): string {
  const { field: separator } = segment.delimiters;
  const fields: string[] = [];
  const first = segment.field(1);
  const header = first.level === 4;
  for (let n = header ? 2 : 1; n <= segment.fieldCount; n++) {
    fields.push(rebuildValue(segment.field(n), replaced));
  }
  return [segment.name, ...fields].join(separator);
}

function rebuildValue(value: Value, replaced: ReadonlyMap<Value, string>): string {
  if (value.level >= 3) return replaced.get(value) ?? value.raw;
  const { delimiters, level, parts } = value;
  const { repetition, component, subcomponent } = delimiters;
  const between = level === 0 ? repetition : level === 1 ? component : subcomponent;
  return parts.map((part) => rebuildValue(part, replaced)).join(between);
}
