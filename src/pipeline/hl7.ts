// HL7 v2 messages: bytes to text to segments, the map by MSH-9, structure and required fields,
// then the map's rows.
import { decodeMessage } from '../hl7/charset.ts';
import { replaceControls } from '../hl7/controls.ts';
import { groupSegments } from '../hl7/grouping.ts';
import { type Message, parseMessage } from '../hl7/message.ts';
import { reportUnmapped } from '../mapping/account.ts';
import type { SiteMaps } from '../mapping/compile.ts';
import type { MessageMap } from '../mapping/message.ts';
import { type MapContext, mapMessage } from '../mapping/run.ts';
import { hasErrors, type Issue } from '../model/issue.ts';
import type { PipelineInput } from '../model/pipeline.ts';
import { type Mapped, type PipelineLimits, refuse } from './step.ts';

/** Parses, checks and maps one message. */
export function mapHl7(
  { raw, channel, envelope }: PipelineInput,
  maps: SiteMaps,
  context: MapContext,
  limits: PipelineLimits,
): Mapped {
  const decoded = decodeMessage(raw, channel.charset || undefined);
  const received = parseMessage(decoded.text, {
    segments: limits.segmentsMax,
    delimiters: limits.messagePartsMax,
    repetitions: limits.repetitionsMax,
  });
  const { message, issues: replaced } = replaceControls(received);
  const batch = envelope.batch ?? [];
  const issues: Issue[] = [...batch, ...decoded.issues, ...message.issues, ...replaced];
  if (hasErrors(issues)) return refuse(...issues);
  issues.push(...noteHeader(message));
  const found = findMap(message, maps);
  if ('severity' in found) return refuse(...issues, found);
  return mapWith(found, message, issues, context);
}

/** What intake reads of MSH in spite of its form. */
function noteHeader(message: Message): Issue[] {
  const header = message.first('MSH');
  if (header === undefined) return [];
  const issues = TRIMMED.filter((n) => BLANKS.test(header.field(n).raw)).map((n): Issue => {
    const text = 'Blanks around the value were left out.';
    return { severity: 'warning', code: 'value', at: `MSH-${n}`, text };
  });
  if (/^\s*v/i.test(header.text(12))) {
    const text = 'The version is a number of HL7 v2: the letter before it was left out.';
    issues.push({ severity: 'warning', code: 'value', at: 'MSH-12', text });
  }
  return issues;
}

/** Fields whose codes say how the message is read and answered. */
const TRIMMED = [9, 11, 12, 15, 16, 18];
const BLANKS = /(?:^|\W)[ \t]|[ \t](?:\W|$)/;

/** The map of the message's event; another structure of the same event is not looked for. */
function findMap(message: Message, maps: SiteMaps): MessageMap | Issue {
  const header = message.first('MSH');
  const event = `${header?.text(9, 1).trim() ?? ''}^${header?.text(9, 2).trim() ?? ''}`;
  const map = maps.events.get(event);
  if (map !== undefined) return map;
  if (maps.broken.has(event)) {
    const text = 'The message map of this type has a fault; mend it, then replay the message.';
    return { severity: 'error', code: 'processing', at: 'MSH-9', text };
  }
  const text = 'No message map serves this type of message; add one under mappings/messages.';
  return { severity: 'error', code: 'not-supported', at: 'MSH-9', text };
}

function mapWith(map: MessageMap, message: Message, issues: Issue[], context: MapContext): Mapped {
  if (map.structure === null) return refuse(...issues);
  const { root, issues: misplaced } = groupSegments(map.structure, message);
  issues.push(...misplaced);
  const result = mapMessage(map, message, root, context);
  issues.push(...result.issues);
  const accounts = result.account?.ofMessage(message, map.ignore) ?? [];
  issues.push(...reportUnmapped(accounts));
  const header = message.first('MSH');
  return {
    resources: result.resources,
    issues,
    accounts,
    mapHash: map.hash,
    provenance: result.provenance,
    sender: header?.text(22) || header?.text(4) || header?.text(3) || '',
  };
}
