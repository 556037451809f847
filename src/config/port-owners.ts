// Which channel listens on which port, in `<data>/run/ports.json`: after a restart the channel that
// had a port keeps it, and a newer file with the same port is refused.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const PORT_MAX = 65_535;

function ownersPath(dataDir: string): string {
  return join(dataDir, 'run', 'ports.json');
}

/** Port to channel name; empty when there is no such file, or it cannot be read. */
export function readPortOwners(dataDir: string): ReadonlyMap<number, string> {
  try {
    const rows: unknown = JSON.parse(readFileSync(ownersPath(dataDir), 'utf8'));
    return new Map(Array.isArray(rows) ? rows.filter(isOwner) : []);
  } catch {
    return new Map();
  }
}

/** Replaces the file atomically; what stands in it already is not written again. */
export function writePortOwners(dataDir: string, owners: ReadonlyMap<number, string>): void {
  const text = `${JSON.stringify([...owners].sort(([one], [other]) => one - other))}\n`;
  const known = readPortOwners(dataDir);
  if (known.size === owners.size && [...owners].every(([port, name]) => known.get(port) === name)) {
    return;
  }
  const file = ownersPath(dataDir);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function isOwner(row: unknown): row is [number, string] {
  if (!Array.isArray(row) || row.length !== 2) return false;
  const [port, name] = row as unknown[];
  return Number.isInteger(port) && Number(port) <= PORT_MAX && typeof name === 'string';
}
