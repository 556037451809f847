// The Provenance resource that links what a message wrote to the message (FHIR R4 Provenance). It is
// stored like any resource; the audit chain does not depend on it.
import type { Resource } from '../model/resource.ts';

/** What a Provenance tells of a message. */
export interface MessageOrigin {
  id: string;
  messageId: string;
  channel: string;
  /** ISO 8601; the message's time of arrival, so that a replay tells the same. */
  receivedAt: string;
  mapHash: string;
}

/** Provenance of all that one message wrote or confirmed; `targets` are versioned references. */
export function provenanceOf(origin: MessageOrigin, targets: string[]): Resource & { id: string } {
  return {
    resourceType: 'Provenance',
    id: origin.id,
    target: targets.map((reference) => ({ reference })),
    recorded: origin.receivedAt,
    activity: {
      coding: [
        { system: 'http://terminology.hl7.org/CodeSystem/v3-DataOperation', code: 'UPDATE' },
      ],
    },
    agent: [
      {
        type: {
          coding: [
            {
              system: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type',
              code: 'assembler',
            },
          ],
        },
        who: { display: `Artery, channel ${origin.channel}, map ${origin.mapHash.slice(0, 16)}` },
      },
    ],
    entity: [{ role: 'source', what: { identifier: { value: origin.messageId } } }],
  };
}
