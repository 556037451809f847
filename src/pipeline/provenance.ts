// The Provenance of a message: which resources it made, from what, who sent it and who assembled
// it. Deterministic, and without patient data: it names the message by its id alone.
import { ENGINE_DISPLAY, MESSAGE_SYSTEM } from '../fhir/reserved.ts';
import type { MakeId } from '../mapping/compile.ts';
import type { PipelineInput } from '../model/pipeline.ts';
import type { Mapped, MappedItem } from './step.ts';

/** null when the message made no resource. */
export function completeProvenance(
  mapped: Mapped,
  { envelope }: PipelineInput,
  idOf: MakeId,
): MappedItem | null {
  if (mapped.resources.length === 0) return null;
  const { provenance: rows, sender } = mapped;
  const target = mapped.resources.map(({ resource }) => ({
    reference: `${resource.resourceType}/${resource.id}`,
  }));
  const resource: MappedItem['resource'] = {
    resourceType: 'Provenance',
    id: idOf('Provenance', envelope.id),
    ...rows,
    target,
    recorded: envelope.receivedAt,
    activity: rows.activity ?? ACTIVITY,
    agent: [...authorsOf(rows.agent, sender || envelope.sender), ASSEMBLER],
    entity: [{ role: 'source', what: { identifier: messageIdentifier(envelope.id) } }],
  };
  return { resource, mode: 'replace', cleared: [] };
}

const PARTICIPANT = 'http://terminology.hl7.org/CodeSystem/provenance-participant-type';
const OPERATION = 'http://terminology.hl7.org/CodeSystem/v3-DataOperation';
const ACTIVITY = { coding: [{ system: OPERATION, code: 'UPDATE', display: 'revise' }] };
const ASSEMBLER = {
  type: { coding: [{ system: PARTICIPANT, code: 'assembler', display: 'Assembler' }] },
  who: { display: ENGINE_DISPLAY },
};

function messageIdentifier(id: string) {
  return { system: MESSAGE_SYSTEM, value: id };
}

/** The sender as author, and the agents of the map's rows. */
function authorsOf(agents: unknown, sender: string): unknown[] {
  const told: unknown[] = Array.isArray(agents) ? agents : [];
  if (sender === '' || sender === '|') return told;
  const type = { coding: [{ system: PARTICIPANT, code: 'author', display: 'Author' }] };
  return [{ type, who: { display: sender } }, ...told];
}
