// What /admin may ask of the running engine: the side of AdminServices that knows the adapters.
import type { AdminServices, ChannelStatus, FileProblem } from '../api/admin/services.ts';
import type { LoadedChannels } from '../config/channels.ts';
import type { Config } from '../config/config.ts';
import { formatRootKeys } from '../crypto/keys.ts';
import { validateResource } from '../fhir/validate.ts';
import type { MappingSet } from '../mapping/compile.ts';
import { loadMappings } from '../mapping/load.ts';
import { runPipeline } from '../pipeline/run.ts';
import type { Depth } from '../queue/port.ts';
import { rotateRootKey } from '../record/rotate.ts';
import { replaceRootKeys } from './root-keys.ts';
import type { RunningChannel, RunningChannels } from './running-channels.ts';
import type { WorkLink } from './work-link.ts';

interface Parts
  extends Pick<AdminServices, 'record' | 'telemetry' | 'authenticate' | 'wake' | 'backup'> {
  config: Config;
  running: RunningChannels;
  /** The channel files as they were last read. */
  loaded(): LoadedChannels;
  work: WorkLink | undefined;
  depth(): Depth;
}

export function createAdminServices(parts: Parts): AdminServices {
  const { record, telemetry, authenticate, wake, backup, config, running, work } = parts;
  const mappings = rememberMappings(config, work);
  return {
    record,
    telemetry,
    authenticate,
    wake,
    backup,
    channels: () => running.list().map(statusOf),
    problems: () => [...parts.loaded().problems.map(short), ...(work?.mappingProblems() ?? [])],
    async explain({ raw, envelope }) {
      const channel = running.list().find((one) => one.channel.name === envelope.channel)?.channel;
      if (channel === undefined) return null;
      return runPipeline(
        { raw, envelope, channel },
        { mappings: await mappings(), validateResource, account: true, limits: config.limits },
      );
    },
    rotateRootKey: (principal) => rotateRoot(parts, principal),
    invalidate() {
      record.invalidate('patient');
      work?.order({ kind: 'invalidate' });
    },
    queueDepth: parts.depth,
    now: record.clock,
    limits: config.limits,
  };
}

/** Loading takes a good part of a second: it is done anew only when other maps are in force. */
function rememberMappings(config: Config, work: WorkLink | undefined): () => Promise<MappingSet> {
  let known: { version: number; set: Promise<MappingSet> } | undefined;
  return () => {
    const version = work?.mappingsVersion() ?? 0;
    if (known === undefined || known.version !== version || work === undefined) {
      const set = loadMappings(config.mappingsDir, config.limits).then((loaded) => loaded.set);
      known = { version, set };
      set.catch(() => {
        known = undefined;
      });
    }
    return known.set;
  };
}

function statusOf({ channel, source, fault }: RunningChannel): ChannelStatus {
  if (channel.source.kind === 'http') {
    const { name, enabled } = channel;
    return { channel, address: `/channels/${name}`, listening: enabled, connections: 0, fault };
  }
  const health = source?.health() ?? { listening: false, connections: 0 };
  return { channel, address: source?.address ?? '', ...health, fault };
}

function short({ file, line, text }: FileProblem): FileProblem {
  return { file, line, text };
}

async function rotateRoot(
  { record, config, work }: Parts,
  principal: Parameters<AdminServices['rotateRootKey']>[0],
): Promise<{ rewrapped: number }> {
  return replaceRootKeys(config, record.keyring.rootKeys, (keys) => {
    work?.order({ kind: 'root-keys', rootKeys: formatRootKeys(keys) });
    return rotateRootKey(record, principal, keys);
  });
}
