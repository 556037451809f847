// JSON records: parsed with a bounded depth, mapped by the record map that the channel names. The
// channel's JSON schema is checked at intake.
import { parseJson } from '../fhir/json.ts';
import { reportUnmapped } from '../mapping/account.ts';
import type { SiteMaps } from '../mapping/compile.ts';
import { type MapContext, mapRecord } from '../mapping/run.ts';
import { EngineError } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';
import type { PipelineInput } from '../model/pipeline.ts';
import { type Mapped, refuse } from './step.ts';

/** Parses and maps one record. */
export function mapJson(
  { raw, channel, envelope }: PipelineInput,
  maps: SiteMaps,
  context: MapContext,
): Mapped {
  const name = channel.record?.name ?? envelope.type;
  const map = maps.records.get(name) ?? maps.messages.get(name);
  if (map === undefined || map.record === '') {
    const text = 'No record map of that name is under mappings/messages.';
    return refuse({ severity: 'error', code: 'not-supported', at: 'channel.record', text });
  }
  const record = readJson(raw);
  if (record.issue !== undefined) return refuse(record.issue);
  const result = mapRecord(map, record.value, context);
  const accounts = result.account?.ofRecord(record.value) ?? [];
  return {
    resources: result.resources,
    issues: [...result.issues, ...reportUnmapped(accounts)],
    accounts,
    mapHash: map.hash,
    provenance: result.provenance,
    sender: '',
  };
}

/** The depth was bounded at intake, by a limit that may be set up to this one. */
const DEPTH_MAX = 1_000;

/** JSON from outside; what the reader refuses is an issue. */
export function readJson(raw: Uint8Array): { value?: unknown; issue?: Issue } {
  try {
    return { value: parseJson(Buffer.from(raw.buffer, raw.byteOffset, raw.length), DEPTH_MAX) };
  } catch (thrown) {
    if (!(thrown instanceof EngineError)) throw thrown;
    const issue: Issue = { severity: 'error', code: 'structure', at: '', text: thrown.message };
    return { issue };
  }
}
