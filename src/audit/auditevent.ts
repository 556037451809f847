// An audit entry as a FHIR R4 AuditEvent, for reading. The chain is over the entries, not these.
import type { Resource } from '../model/resource.ts';
import { tableOf } from '../model/table.ts';
import type { AuditEntry } from './entry.ts';

const EVENT_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-event-type';
const REST = { system: EVENT_TYPE, code: 'rest', display: 'RESTful Operation' };
const TRANSMIT = {
  system: EVENT_TYPE,
  code: 'transmit',
  display: 'Transmit Record Lifecycle Event',
};
const TRANSFORM = {
  system: EVENT_TYPE,
  code: 'transform',
  display: 'Transform/Translate Record Lifecycle Event',
};
const SYSTEM = { system: 'http://dicom.nema.org/resources/ontology/DCM', code: '110100' };

/** AuditEvent.action and .type of each kind of entry (http://hl7.org/fhir/R4/auditevent.html). */
const KINDS: Partial<Record<AuditEntry['action'], { action: string; type: object }>> = tableOf({
  receive: { action: 'C', type: TRANSMIT },
  duplicate: { action: 'R', type: TRANSMIT },
  refuse: { action: 'E', type: TRANSMIT },
  replay: { action: 'U', type: TRANSMIT },
  transform: { action: 'U', type: TRANSFORM },
  create: { action: 'C', type: REST },
  update: { action: 'U', type: REST },
  read: { action: 'R', type: REST },
  vread: { action: 'R', type: REST },
  history: { action: 'R', type: REST },
  search: { action: 'E', type: REST },
  forget: { action: 'D', type: REST },
});

/** `id` is made by the caller (uuid5 of the entry's place); `seq` and `at` are the row's. */
export function auditEventOf(id: string, seq: number, at: number, entry: AuditEntry): Resource {
  const kind = KINDS[entry.action] ?? { action: 'E', type: SYSTEM };
  const references = [...(entry.resources ?? []), ...(entry.unchanged ?? [])];
  const entity = [
    ...references.map((reference) => ({ what: { reference } })),
    ...(entry.message === undefined ? [] : [{ what: { identifier: { value: entry.message } } }]),
  ];
  return {
    resourceType: 'AuditEvent',
    id,
    type: kind.type,
    subtype: [{ code: entry.action }],
    action: kind.action,
    recorded: new Date(at).toISOString(),
    outcome: entry.outcome === 'success' ? '0' : '8',
    ...(entry.detail === undefined ? {} : { outcomeDesc: entry.detail }),
    agent: [agentOf(entry)],
    source: { site: entry.channel ?? 'artery', observer: { display: `Artery, entry ${seq}` } },
    ...(entity.length === 0 ? {} : { entity }),
  };
}

function agentOf(entry: AuditEntry): object {
  const network = entry.peer === undefined ? {} : { network: { address: entry.peer, type: '2' } };
  return { who: { identifier: { value: entry.who } }, requestor: true, ...network };
}
