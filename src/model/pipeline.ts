// What the pipeline's steps take and give. All steps are pure: the same input gives the same
// output.
import type { Channel } from './channel.ts';
import type { Issue } from './issue.ts';
import type { Envelope } from './message.ts';
import type { FieldAccount, MappedResource } from './resource.ts';

export interface PipelineInput {
  raw: Uint8Array;
  envelope: Envelope;
  channel: Channel;
}

export interface PipelineOutput {
  /** In write order; empty when an issue of severity `error` was found. */
  resources: MappedResource[];
  issues: Issue[];
  /** Every valued field. Costly to keep: computed again by `message show`. */
  accounts: FieldAccount[];
  /** SHA-256 (hex) of the compiled map; '' when none was reached. */
  mapHash: string;
  /** Id of the Patient that the message is about, null = none or several. */
  compartment: string | null;
}
