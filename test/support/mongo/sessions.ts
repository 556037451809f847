// Runs one command inside its session: transaction, retryable write, snapshot read, and the
// commands that end sessions and transactions. The rules of numbers are in transaction.ts.
import { Binary, Timestamp } from 'mongodb';
import { COMMANDS, type Command, type Context } from './commands.ts';
import type { Engine } from './engine.ts';
import { type ErrorPlace, ServerError } from './errors.ts';
import type { Txn } from './transaction.ts';
import { type Doc, encode, isDoc } from './values.ts';

/** Fields that any command may carry (Command Fields; Sessions; Stable API is refused). */
const GENERAL = new Set([
  '$db',
  '$readPreference',
  '$clusterTime',
  'lsid',
  'txnNumber',
  'autocommit',
  'startTransaction',
  'readConcern',
  'writeConcern',
  'maxTimeMS',
  'comment',
]);
const RETRYABLE = new Set(['insert', 'update', 'delete', 'findAndModify']);

/** What kind of command failed: the labels of its error depend on it. */
export function placeOf(command: Doc): ErrorPlace {
  const [name] = Object.keys(command);
  if (name === 'commitTransaction' || name === 'abortTransaction') return 'transaction-end';
  if (command.autocommit === false) return 'transaction';
  return command.txnNumber === undefined ? 'plain' : 'retryable-write';
}

/** Throws ServerError; 59 for a command that is not imitated. */
export async function runCommand(
  engine: Engine,
  command: Doc,
  transactions: boolean,
): Promise<Doc> {
  const name = Object.keys(command)[0] ?? '';
  if (command.txnNumber !== undefined && !transactions) {
    const text = 'Transaction numbers are only allowed on a replica set member or mongos';
    throw new ServerError(20, 'IllegalOperation', text);
  }
  const ended = endOfSession(engine, name, command);
  if (ended !== undefined) return ended;
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (found === undefined) {
    throw new ServerError(59, 'CommandNotFound', `no such command: '${name}'`);
  }
  checkOptions(name, found, command);
  const context = contextOf(engine, command);
  if (command.autocommit === false) return inTransaction(found, name, context);
  if (command.txnNumber !== undefined && RETRYABLE.has(name)) return once(found, context);
  context.txn = snapshotReader(engine, command);
  return found.run(context);
}

function endOfSession(engine: Engine, name: string, command: Doc): Doc | undefined {
  if (name === 'commitTransaction') engine.txns.commit(...numberOf(command));
  else if (name === 'abortTransaction') engine.txns.abort(...numberOf(command));
  else if (name === 'endSessions' || name === 'killSessions') {
    const ids = Array.isArray(command[name]) ? command[name] : [];
    for (const id of ids) engine.endSession(sessionKey(id));
  } else return undefined;
  return { ok: 1 };
}

function contextOf(engine: Engine, command: Doc): Context {
  const limit = typeof command.maxTimeMS === 'number' ? command.maxTimeMS : 0;
  return {
    engine,
    database: String(command.$db),
    command,
    session: sessionKey(command.lsid),
    txn: undefined,
    inTransaction: command.autocommit === false,
    deadline: limit > 0 ? Date.now() + limit : Number.POSITIVE_INFINITY,
  };
}

/** Any error inside a transaction aborts it, an error of a single statement too. */
async function inTransaction(found: Command, name: string, context: Context): Promise<Doc> {
  const { engine, command } = context;
  const txn = engine.txns.statement(...numberOf(command), command.startTransaction === true);
  try {
    if (!found.inTransaction) {
      const text = `Cannot run '${name}' in a multi-document transaction.`;
      throw new ServerError(263, 'OperationNotSupportedInTransaction', text);
    }
    const reply = await found.run({ ...context, txn });
    if (reply.writeErrors !== undefined) engine.txns.abortTxn(txn);
    return reply;
  } catch (error) {
    engine.txns.abortTxn(txn);
    throw error;
  }
}

/** A repeated write waits for the first one, which may still wait for a held document. */
async function once(found: Command, context: Context): Promise<Doc> {
  const { turns } = context.engine;
  const before = turns.get(context.session) ?? Promise.resolve();
  const turn = before.catch(() => undefined).then(() => writeOnce(found, context));
  turns.set(context.session, turn);
  try {
    return await turn;
  } finally {
    if (turns.get(context.session) === turn) turns.delete(context.session);
  }
}

async function writeOnce(found: Command, context: Context): Promise<Doc> {
  const { engine, command } = context;
  const [session, number] = numberOf(command);
  const known = engine.txns.repeated(session, number);
  if (known !== undefined) return known;
  const reply = await found.run(context);
  engine.txns.remember(session, number, reply);
  return reply;
}

function checkOptions(name: string, found: Command, command: Doc): void {
  for (const option of Object.keys(command).slice(1)) {
    if (GENERAL.has(option) || found.options.includes(option)) continue;
    if (option === 'bypassDocumentValidation' || command[option] === undefined) continue;
    throw new ServerError(40415, 'Location40415', `stand-in refuses ${name}.${option}`);
  }
}

function numberOf(command: Doc): [string, number] {
  return [sessionKey(command.lsid), Number(command.txnNumber)];
}

/** The session id as a key; empty without a session. */
export function sessionKey(lsid: unknown): string {
  const id = isDoc(lsid) ? lsid.id : undefined;
  return id instanceof Binary ? encode(id) : '';
}

/** readConcern snapshot outside a transaction reads one moment, named by atClusterTime. */
function snapshotReader(engine: Engine, command: Doc): Txn | undefined {
  const concern = isDoc(command.readConcern) ? command.readConcern : {};
  if (concern.level !== 'snapshot') return undefined;
  const at = concern.atClusterTime;
  return engine.txns.pin(at instanceof Timestamp ? at.getHighBitsUnsigned() - 1 : undefined);
}
