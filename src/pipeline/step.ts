// What every kind of mapping hands to the rest of the pipeline.
import type { JsonObject } from '../mapping/json.ts';
import type { Issue } from '../model/issue.ts';
import type { FieldAccount, MappedResource } from '../model/resource.ts';

/** What one message may hold and give; the table of limits has the same names. */
export interface PipelineLimits {
  segmentsMax: number;
  messagePartsMax: number;
  repetitionsMax: number;
  bundleEntriesMax: number;
  resourcesMax: number;
  issuesMax: number;
}

/** For tools that run a message of their own. */
export const UNLIMITED: PipelineLimits = {
  segmentsMax: Infinity,
  messagePartsMax: Infinity,
  repetitionsMax: Infinity,
  bundleEntriesMax: Infinity,
  resourcesMax: Infinity,
  issuesMax: Infinity,
};

export type MappedItem = Omit<MappedResource, 'compartment'>;

export interface Mapped {
  /** In write order, the Provenance not among them. */
  resources: MappedItem[];
  issues: Issue[];
  accounts: FieldAccount[];
  mapHash: string;
  /** What the map's rows say of the Provenance. */
  provenance: JsonObject;
  /** Name of the organization that sent the message, '' = not known. */
  sender: string;
}

export const NO_SITE: Issue = {
  severity: 'error',
  code: 'not-found',
  at: 'channel.site',
  text: "There is no folder of that name under mappings/sites; the channel's site is wrong.",
};

/** A message of which nothing could be mapped. */
export function refuse(...issues: Issue[]): Mapped {
  return { resources: [], issues, accounts: [], mapHash: '', provenance: {}, sender: '' };
}
