// Opens the driver's client for one MongoDB deployment, with the options that the store relies on.
// It knows no collection; errors of the driver pass through untranslated.
import { MongoClient, type MongoClientOptions } from 'mongodb';
import { EngineError } from '../model/errors.ts';
import { wakeWritersOfClosedSockets } from './closed-sockets.ts';

export interface MongoTarget {
  /** `mongodb://` or `mongodb+srv://`; may hold a password, so it is never repeated in an error. */
  url: string;
  /** Default: the database that the url names, else `artery`. */
  database?: string;
  /** How long an operation waits for a server that can take it (an election, a restart). */
  selectionTimeoutMs?: number;
  /** A reply that takes longer counts as a broken connection. */
  replyTimeoutMs?: number;
}

export interface MongoConnection {
  client: MongoClient;
  database: string;
}

const DATABASE = 'artery';
const SELECTION_TIMEOUT_MS = 10_000;
const REPLY_TIMEOUT_MS = 15_000;
/** The server is asked so often whether it is there; half-open connections are found by it. */
const HEARTBEAT_MS = 5_000;

/**
 * Connects, and closes again what it opened when that fails. Reads go to the primary and see what
 * a majority has; writes are acknowledged by a majority. Throws CONFIG_INVALID for a wrong url.
 */
export async function connectMongo(target: MongoTarget): Promise<MongoConnection> {
  wakeWritersOfClosedSockets();
  const client = makeClient(target);
  try {
    await client.connect();
  } catch (cause) {
    await client.close();
    throw cause;
  }
  return { client, database: target.database ?? databaseOf(client) };
}

function makeClient(target: MongoTarget): MongoClient {
  const options: MongoClientOptions = {
    appName: 'artery',
    // Manual, "Retryable Writes" and "Retryable Reads": single operations survive one election.
    retryWrites: true,
    retryReads: true,
    // Manual, "Write Concern": what a majority has, no election takes back.
    writeConcern: { w: 'majority' },
    // Manual, "Read Concern 'majority'": nothing is read that could still be rolled back.
    readConcern: { level: 'majority' },
    // Manual, "Transactions", "Read Preference": the only one that they take.
    readPreference: 'primary',
    serverSelectionTimeoutMS: target.selectionTimeoutMs ?? SELECTION_TIMEOUT_MS,
    connectTimeoutMS: target.selectionTimeoutMs ?? SELECTION_TIMEOUT_MS,
    socketTimeoutMS: target.replyTimeoutMs ?? REPLY_TIMEOUT_MS,
    heartbeatFrequencyMS: HEARTBEAT_MS,
    promoteBuffers: true,
    ignoreUndefined: false,
  };
  try {
    return new MongoClient(target.url, options);
  } catch {
    // Without its cause: the parser's error may quote the url with its password.
    throw new EngineError(
      'CONFIG_INVALID',
      'MONGODB_URL is not a MongoDB connection string: write mongodb://host:port/?replicaSet=name.',
    );
  }
}

/** The driver answers `test` where the url names none. */
function databaseOf(client: MongoClient): string {
  const named = client.options.dbName;
  return named === 'test' ? DATABASE : named;
}
