// The channels as they run: opens a source for each enabled MLLP channel, and follows changed files
// without touching the sources whose settings stayed the same. HTTP channels have no own source.
import { isDeepStrictEqual } from 'node:util';
import type { LoadedChannels } from '../config/channels.ts';
import type { Channel } from '../model/channel.ts';
import type { Source } from '../source/port.ts';
import type { Telemetry } from '../telemetry/events.ts';

export interface RunningChannel {
  channel: Channel;
  source: Source | null;
  /** System code of the failure to open (EADDRINUSE); '' = none. */
  fault: string;
}

export interface RunningChannelsOptions {
  telemetry: Telemetry;
  /** false: channels are known, but nothing listens (a process without the receive role). */
  listens: boolean;
  /** Opens the source of an MLLP channel; rejects with the system's error. */
  open(channel: Channel): Promise<Source>;
  /** Told after each change which channel listens on which port; it is kept over a restart. */
  holds?(owners: ReadonlyMap<number, string>): void;
  /** Time that a closing source has to answer what it took. */
  drainTimeoutMs: number;
}

export class RunningChannels {
  readonly #options: RunningChannelsOptions;
  #running = new Map<string, RunningChannel>();
  #applying: Promise<void> = Promise.resolve();

  constructor(options: RunningChannelsOptions) {
    this.#options = options;
  }

  /** The enabled channel of that name, as configured now. */
  find(name: string): Channel | undefined {
    const channel = this.#running.get(name)?.channel;
    return channel?.enabled ? channel : undefined;
  }

  list(): RunningChannel[] {
    return [...this.#running.values()];
  }

  /** Ports of the channels that listen; a port that the system chose is nobody's. */
  portOwners(): ReadonlyMap<number, string> {
    const owners = new Map<number, string>();
    for (const { channel, source } of this.#running.values()) {
      if (source === null || channel.source.kind !== 'mllp' || channel.source.port === 0) continue;
      owners.set(channel.source.port, channel.name);
    }
    return owners;
  }

  /** Applies a new set of channels; calls are applied one after the other. */
  apply(loaded: LoadedChannels): Promise<void> {
    this.#applying = this.#applying.then(() => this.#apply(loaded));
    return this.#applying;
  }

  /** Has each source read its certificate files again; one that cannot keeps the old ones. */
  async reloadCertificates(): Promise<void> {
    await Promise.all(this.list().map((running) => this.#reload(running)));
  }

  /** Stops accepting and lets what was taken be answered. The channels stay known. */
  async close(): Promise<void> {
    await this.#applying;
    await Promise.all(this.list().map((running) => this.#stop(running)));
  }

  async #apply({ channels, problems }: LoadedChannels): Promise<void> {
    const { telemetry } = this.#options;
    for (const { file, line } of problems) telemetry.emit('channel.refused', { file, line });
    // A file that has become wrong does not stop the channel that it described: it goes on as it
    // was.
    const refused = new Set(problems.map(({ file }) => file.replace(/\.ya?ml$/, '')));
    const wanted = new Map(channels.map((channel) => [channel.name, channel]));
    for (const running of this.list()) {
      const { name } = running.channel;
      const next = wanted.get(name);
      if (next === undefined && refused.has(name)) continue;
      if (next !== undefined && hasSameSource(running, next)) {
        this.#running.set(name, { ...running, channel: next });
        wanted.delete(name);
        continue;
      }
      await this.#stop(running);
      this.#running.delete(name);
    }
    for (const channel of wanted.values()) {
      this.#running.set(channel.name, await this.#start(channel));
    }
    if (this.#options.listens) this.#options.holds?.(this.portOwners());
  }

  async #start(channel: Channel): Promise<RunningChannel> {
    const { telemetry } = this.#options;
    if (!channel.enabled || channel.source.kind === 'http' || !this.#options.listens) {
      return { channel, source: null, fault: '' };
    }
    try {
      const source = await this.#options.open(channel);
      telemetry.emit('channel.loaded', { channel: channel.name, address: source.address });
      return { channel, source, fault: '' };
    } catch (thrown) {
      const fault = systemCode(thrown);
      const address = `${channel.source.host}:${channel.source.port}`;
      telemetry.emit('channel.failed', { channel: channel.name, address, code: fault });
      return { channel, source: null, fault };
    }
  }

  async #reload({ channel, source }: RunningChannel): Promise<void> {
    try {
      await source?.reload?.();
    } catch (thrown) {
      const fields = { channel: channel.name, address: source?.address ?? '' };
      this.#options.telemetry.emit('channel.failed', { ...fields, code: systemCode(thrown) });
    }
  }

  async #stop({ channel, source }: RunningChannel): Promise<void> {
    if (source === null) return;
    await source.close(this.#options.drainTimeoutMs);
    this.#options.telemetry.emit('channel.stopped', { channel: channel.name });
  }
}

/** EADDRINUSE where the system said so, else the code of the error itself. */
function systemCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'INTERNAL';
  const { cause, code } = thrown as Error & { code?: string };
  return (cause as NodeJS.ErrnoException | undefined)?.code ?? code ?? 'INTERNAL';
}

/** A source that failed to open is tried again with every change. */
function hasSameSource({ channel, fault }: RunningChannel, next: Channel): boolean {
  return (
    fault === '' &&
    channel.enabled === next.enabled &&
    isDeepStrictEqual(channel.source, next.source)
  );
}
