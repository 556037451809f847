// Tells when the files of a folder have changed: by the system's notice where there is one, and by
// looking in an interval anyway. It reads names, sizes and times only.
import { type Dirent, type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { ChannelContext } from './channel-file.ts';
import { type LoadedChannels, loadChannels } from './channels.ts';

export interface Watcher {
  /** Reads the folder now, changed or not. */
  reload(): void;
  close(): void;
}

/** Calls `onChange` with all channels, once per quiet moment after a change of the folder. */
export function watchChannels(
  folder: string,
  context: ChannelContext,
  onChange: (loaded: LoadedChannels) => void,
): Watcher {
  return watchFolder(folder, context.limits, () => onChange(loadChannels(folder, context)));
}

/** The same for any folder, subfolders included: mappings are watched with it too. */
export function watchFolder(
  folder: string,
  limits: { reloadDelayMs: number; reloadPollMs: number },
  onChange: () => void,
): Watcher {
  let seen = takeMark(folder);
  let quiet: NodeJS.Timeout | undefined;
  const look = (): void => {
    const mark = takeMark(folder);
    if (mark === seen) return;
    seen = mark;
    onChange();
  };
  const schedule = (): void => {
    clearTimeout(quiet);
    quiet = setTimeout(look, limits.reloadDelayMs);
  };
  const system = watchSystem(folder, schedule);
  const poll = setInterval(() => {
    if (takeMark(folder) !== seen) schedule();
  }, limits.reloadPollMs);
  poll.unref();
  return {
    reload() {
      clearTimeout(quiet);
      seen = takeMark(folder);
      onChange();
    },
    close() {
      clearTimeout(quiet);
      clearInterval(poll);
      system?.close();
    },
  };
}

/** undefined where the system has no notices (network folders); then the interval alone works. */
function watchSystem(folder: string, onNotice: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { recursive: true, persistent: false }, onNotice);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

const FILES_MAX = 20_000;

/** Name, size and time of every file as one text; an absent folder is the empty text. */
function takeMark(folder: string): string {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  } catch {
    return '';
  }
  const files = entries.filter((entry) => !entry.isDirectory()).slice(0, FILES_MAX);
  return files.map((entry) => markOf(join(entry.parentPath, entry.name))).join('\n');
}

function markOf(file: string): string {
  const state = statSync(file, { throwIfNoEntry: false });
  return state === undefined ? file : `${file} ${state.size} ${state.mtimeMs} ${state.ino}`;
}
