// Which message types the maps in force serve, for the answer at intake. Where the process has no
// work thread that tells it, the maps are loaded here.
import { loadMappings } from '../mapping/load.ts';
import type { Channel } from '../model/channel.ts';
import type { Served } from '../pipeline/intake.ts';
import { type LoadedMappings, type ServedTypes, typesOf } from './mappings.ts';
import type { WorkLink } from './work-link.ts';

export interface MapState {
  /** Undefined while nothing is known: then the work decides. */
  serves(channel: Channel, type: string): Served | undefined;
  /** The maps in force have faults, as there were no older ones. */
  faulty(): boolean;
  /** Reads the maps anew, where it is not the work thread that does. */
  reload(): void;
}

export function openMapState(folder: string, work: WorkLink | undefined): MapState {
  if (work !== undefined) {
    return {
      serves: (channel, type) => servedBy(work.mappings()?.types, channel, type),
      faulty: () => work.mappings()?.faulty === true,
      reload: () => undefined,
    };
  }
  // Read beside the start, which need not wait: until then the work decides.
  let known: { types: LoadedMappings['types']; faulty: boolean } | undefined;
  const read = async (): Promise<void> => {
    const { set, faults } = await loadMappings(folder);
    const faulty = faults.some(({ severity }) => severity === 'error');
    if (known === undefined || !faulty) known = { types: typesOf(set), faulty };
  };
  const reload = () => void read().catch(() => undefined);
  reload();
  return {
    serves: (channel, type) => servedBy(known?.types, channel, type),
    faulty: () => known?.faulty === true,
    reload,
  };
}

function servedBy(
  types: ReadonlyMap<string, ServedTypes> | undefined,
  channel: Channel,
  type: string,
): Served | undefined {
  const known = types?.get(channel.site);
  if (known === undefined) return undefined;
  if (known.served.has(type)) return 'yes';
  return known.broken.has(type) ? 'broken' : 'no';
}
