// What the drains of one process share, and what they are given to work with. Types only: who does
// what with it is work.ts and failure.ts.
import type { Channel } from '../model/channel.ts';
import type { Issue } from '../model/issue.ts';
import type { PipelineInput, PipelineOutput } from '../model/pipeline.ts';
import type { Queue } from '../queue/port.ts';
import type { ClinicalRecord } from '../record/context.ts';
import type { Telemetry } from '../telemetry/events.ts';
import type { Attempts } from './attempts.ts';
import type { Gate } from './gate.ts';
import type { Places } from './places.ts';

export interface WorkOptions {
  record: ClinicalRecord;
  queue: Queue;
  telemetry: Telemetry;
  /** The channel as it is configured now. */
  channel(name: string): Channel | undefined;
  /** Parse, validate and map: pure. What it throws is a fault of Artery, not of the store. */
  pipeline(input: PipelineInput): PipelineOutput;
  /** Told once per message that reached its end; it must not throw. */
  finished(result: Finished): void;
  /** The last run over this store did not stop, but ended: one of the messages may be why. */
  crashed?: boolean;
  limits: { workConcurrency: number; sweepIntervalMs: number; inboxMax: number };
}

export interface Finished {
  id: string;
  state: 'processed' | 'set-aside';
  issues: Issue[];
}

/** What the drains share. */
export interface Desk {
  options: WorkOptions;
  attempts: Attempts;
  gate: Gate;
  places: Places;
  /** Messages up to this `seq` waited when the last run ended. */
  suspectSeq: number;
  closed: boolean;
}
