// Which message types the maps in force serve, for the answer at intake. Where the process has no
// work thread that tells it, the maps are loaded here.
import type { Channel } from '../model/channel.ts';
import type { Served } from '../pipeline/intake.ts';
import { type LoadedMappings, openMappings, type ServedTypes } from './mappings.ts';
import type { WorkLink } from './work-link.ts';

export interface MapState {
  /** Undefined while nothing is known: then the work decides. */
  serves(channel: Channel, type: string): Served | undefined;
  /** The maps in force have faults, as there were no older ones. */
  faulty(): boolean;
  /** Reads the maps anew, where it is not the work thread that does. */
  reload(): void;
}

export async function openMapState(folder: string, work: WorkLink | undefined): Promise<MapState> {
  if (work !== undefined) {
    return {
      serves: (channel, type) => servedBy(work.mappings()?.types, channel, type),
      faulty: () => work.mappings()?.faulty === true,
      reload: () => undefined,
    };
  }
  const mappings = await openMappings(folder);
  let last: LoadedMappings = mappings.first;
  return {
    serves: (channel, type) => servedBy(last.types, channel, type),
    faulty: () => last.faulty,
    reload() {
      void mappings.reload().then((loaded) => {
        last = loaded;
      });
    },
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
