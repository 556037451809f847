// A channel: where messages come in, how they are read, and which map they take.
// The JSON schema of the file is config/channel.schema.ts; this is its checked, frozen form.
import type { MessageFormat } from './message.ts';

export interface Channel {
  /** The file's name without `.yaml`; also the `<name>` of `POST /channels/<name>`. */
  name: string;
  enabled: boolean;
  tenant: string;
  format: MessageFormat;
  source: MllpSource | HttpSource;
  /** IANA zone for times without an offset, `Europe/Berlin`. */
  timezone: string;
  /** MSH-9 patterns that are accepted: `ADT^A01`, `ADT^*`; empty = all that have a map. */
  accepts: string[];
  /** hl7v2: MSH-11.1 values that are taken; an empty field counts as P. */
  processingIds: string[];
  /** What becomes of others: AR and set aside, or AA and set aside. */
  otherProcessing: 'refuse' | 'set-aside';
  /** Charset used where MSH-18 is empty: an HL7 table 0211 name. */
  charset: string;
  /** Field whose value orders messages: `PID-3.1`; a JSON Pointer for json channels. */
  orderBy: string;
  /** Overlay folder under mappings/sites, '' = none. */
  site: string;
  /** json only: the map's name under mappings/messages and the record's JSON schema. */
  record: { name: string; schema: Record<string, unknown> } | null;
  retry: { attempts: number; firstDelayMs: number; delayMsMax: number };
  /** hl7v2: a batch is answered by one batch; absent = by an answer for each message. */
  batchAnswer?: 'batch';
  /** Bounds of the work of one process; what is absent is not bounded. */
  work?: {
    /** Messages that are mapped and committed at the same time. */
    concurrency?: number;
    ratePerSecond?: number;
  };
}

export interface MllpSource {
  kind: 'mllp';
  host: string;
  port: number;
  frameBytesMax: number;
  idleTimeoutMs: number;
  connectionsMax: number;
  /** Messages of one connection that may wait for their durable write before it is paused. */
  inflightMax: number;
  tls: { certFile: string; keyFile: string; caFile: string; requireClientCert: boolean } | null;
}

export interface HttpSource {
  kind: 'http';
  bodyBytesMax: number;
}
