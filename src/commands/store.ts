// artery store copy: moves a whole store from the embedded engine to MongoDB, or back.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { StorePlace } from '../assembly/copy-store.ts';
import { loadRootKeys } from '../assembly/root-keys.ts';
import type { Config } from '../config/config.ts';
import type { CopyStep } from '../store/copy.ts';
import { act, type Call, columns, example } from './call.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './outcome.ts';

interface Options {
  from: string;
  to: string;
  stopped?: boolean;
}

const PLACE = 'a data folder, mongodb://..., or the word mongodb for the url in MONGODB_URL';
const RULES = `
Both sides must be out of use. A running process is noticed on a data folder; on MongoDB only once
it has written, and what killed processes left there is passed over with --stopped. The target must
be empty. If the command is ended, run it again: it goes on where it was. The copy cannot be
started before all is copied and compared, and its audit log verified.
The root key is needed (ARTERY_ROOT_KEY or ARTERY_ROOT_KEY_FILE) and is not copied.`;
const NOTE_MS = 5_000;

export function addStore(program: Command, context: CommandContext): void {
  const store = program.command('store').description('the store as a whole');
  const copy = store
    .command('copy')
    .description('copy everything into an empty store of the same or the other engine')
    .requiredOption('--from <place>', PLACE)
    .requiredOption('--to <place>', PLACE)
    .option('--stopped', 'no process uses the MongoDB database any more')
    .addHelpText('after', RULES)
    .action(act(context, copyWhole));
  example(
    copy,
    'store copy --from ./data --to "mongodb://db1,db2/artery?replicaSet=rs0"',
    'store copy --from mongodb --to ./data2',
  );
}

async function copyWhole(call: Call<Options>): Promise<undefined> {
  const config = call.config();
  const from = placeOf(config, '--from', call.options.from);
  const to = placeOf(config, '--to', call.options.to);
  const rootKeys = loadRootKeys(config);
  // Loaded here, so that other commands start without the store and the record.
  const { copyStore } = await import('../assembly/copy-store.ts');
  const done = await copyStore({
    ...{ from, to, rootKeys, stopped: call.options.stopped === true },
    clock: call.context.now,
    tell: noteProgress(call.context),
  });
  const rows = Object.entries(done.kinds).map(([kind, { rows, sum }]) => {
    return [kind, rows.toLocaleString('en'), sum.slice(0, 16)];
  });
  const text = [
    columns([['KIND', 'ROWS', 'DIGEST'], ...rows]),
    '',
    `The ${done.to} is equal to the ${done.from}, and its audit log is whole: ` +
      `${done.auditEntries} entries.`,
    adviceFor(config, to),
  ];
  call.print(done, text.join('\n'));
}

function placeOf(config: Config, option: string, text: string): StorePlace {
  if (/^mongodb(\+srv)?:\/\//.test(text)) return { kind: 'mongodb', url: text };
  if (text !== 'mongodb') return { kind: 'sqlite', folder: storeFolder(text) };
  if (config.cluster !== null) return { kind: 'mongodb', url: config.cluster.mongodbUrl };
  const reason = `${option} mongodb needs MONGODB_URL and REDIS_URL; or write the url itself.`;
  throw new CommandError(EXIT.usage, reason);
}

function storeFolder(dataDir: string): string {
  return join(resolve(dataDir), 'store');
}

/** One line per kind and phase, and one every few seconds between. */
function noteProgress(context: CommandContext): (step: CopyStep) => void {
  let noted = context.now();
  return ({ phase, kind, rows, of }) => {
    if (rows < of && context.now() - noted < NOTE_MS) return;
    noted = context.now();
    const figures = `${rows.toLocaleString('en')} of ${of.toLocaleString('en')}`;
    context.note(`artery: ${phase} ${kind}: ${figures}`);
  };
}

function adviceFor(config: Config, to: StorePlace): string {
  const key = config.rootKey === null ? config.rootKeyFile : 'the value of ARTERY_ROOT_KEY';
  if (to.kind === 'mongodb') {
    return `Start it with MONGODB_URL, REDIS_URL and the same root key: ${key}.`;
  }
  const place = join(to.folder, '..', 'keys', 'root.key');
  if (existsSync(place)) return 'Start it with ARTERY_DATA_DIR.';
  return `Start it with ARTERY_DATA_DIR, after the root key (${key}) is put to ${place}.`;
}
