// What /admin needs and may not make itself: the running channels, the pipeline, backup, keys.
// src/app.ts fills it in; everything else it takes from record/ directly.
import type { Channel } from '../../model/channel.ts';
import type { PipelineOutput } from '../../model/pipeline.ts';
import type { Principal } from '../../model/principal.ts';
import type { Wake } from '../../queue/port.ts';
import type { ClinicalRecord } from '../../record/context.ts';
import type { OpenedMessage } from '../../record/message.ts';
import type { Telemetry } from '../../telemetry/events.ts';
import type { Authenticate } from '../authenticate.ts';

export interface AdminServices {
  record: ClinicalRecord;
  telemetry: Telemetry;
  authenticate: Authenticate;
  /** Every configured channel as it runs now. */
  channels(): ChannelStatus[];
  /** Files of channels/ and mappings/ that are refused. */
  problems(): FileProblem[];
  /** The message through the present maps, with the account of each valued field; null = no map. */
  explain(message: OpenedMessage): Promise<PipelineOutput | null>;
  /** Tells the queue, in whichever thread it runs. */
  wake(wake: Wake): void;
  /** Copies the store under that name; answers the folder and the root keys that open it. */
  backup(name: string): Promise<{ to: string; rootKeys: string[] }>;
  /** Replaces the root key in the key file and re-wraps with it. */
  rotateRootKey(principal: Principal): Promise<{ rewrapped: number }>;
  /** Makes every thread drop what it holds of a forgotten patient. */
  invalidate(compartment: string): void;
  /** Keys waiting and being worked on. */
  queueDepth(): { waiting: number; active: number };
  now(): number;
  limits: {
    adminBodyBytesMax: number;
    adminListMax: number;
    jsonDepthMax: number;
    replayMax: number;
    tokenLifeMs: number;
    tokenLifeMsMax: number;
    /** Time between two signed audit checkpoints. */
    checkpointIntervalMs: number;
  };
}

export interface ChannelStatus {
  channel: Channel;
  /** `127.0.0.1:2575`, `/channels/rest-inbound`, '' = does not run. */
  address: string;
  listening: boolean;
  connections: number;
  /** Code of model/errors.ts or of the system (EADDRINUSE); '' = none. */
  fault: string;
}

export interface FileProblem {
  file: string;
  line: number;
  text: string;
}
