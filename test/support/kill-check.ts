// What must hold after the kills, asked of the running server's public surfaces alone.
// Plain assertions: the script kill-rounds.ts runs without a test runner.
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ready } from './child.ts';
import type { Json } from './engine.ts';
import type { KillReport, Sent } from './kill.ts';

const PAGE = 500;

/** Each acknowledged message is stored once, had one effect, in order; the audit log verifies. */
export async function checkAfterKills(ready: Ready, report: KillReport, folder: string) {
  const { senders } = report;
  deepStrictEqual(
    senders.flatMap(({ refused }) => refused),
    [],
  );
  const sent = senders.flatMap(({ acked }) => acked);
  const stored = await storedMessages(ready);
  deepStrictEqual(
    stored.filter(({ state }) => state !== 'processed'),
    [],
  );
  const controlIds = await mapLimited(stored, ({ id }) => controlIdOf(ready, id));
  deepStrictEqual(controlIds.sort(), sent.map(({ id }) => id).sort());
  await checkPatients(ready, senders);
  await checkCounts(ready, sent, senders);
  const audited = await checkAudit(ready, stored, folder);
  return { messages: sent.length, audited };
}

async function storedMessages(ready: Ready): Promise<{ id: string; state: string }[]> {
  const all: { id: string; state: string }[] = [];
  for (let before = ''; ; ) {
    const page = await ready.ask('GET', `/admin/messages?limit=${PAGE}${before}`);
    all.push(...page.messages);
    if (page.next === undefined) return all;
    before = `&before=${page.next}`;
  }
}

async function controlIdOf(ready: Ready, id: string): Promise<string> {
  const raw = await ready.text(`/admin/messages/${id}/raw`);
  return raw.split('\r')[0]?.split('|')[9] ?? '';
}

/** The versions of each patient are the family names in the order in which they were sent. */
async function checkPatients(ready: Ready, senders: KillReport['senders']): Promise<void> {
  const expected = new Map<string, string[]>();
  for (const { family, pid } of senders.flatMap(({ acked }) => acked)) {
    if (family !== '') expected.set(pid, [...(expected.get(pid) ?? []), family]);
  }
  for (const [pid, families] of expected) {
    const found = await ready.ask('GET', `/fhir/R4/Patient?identifier=${pid}`);
    const ids = (found.entry ?? []).map((entry: Json) => entry.resource.id);
    strictEqual(ids.length, 1, `patients ${pid}`);
    const versions = await history(ready, `/fhir/R4/Patient/${ids[0]}/_history?_count=1000`);
    const names = versions.map((resource) => resource.name[0].family);
    deepStrictEqual(names.reverse(), families, `history of ${pid}`);
  }
}

async function history(ready: Ready, path: string): Promise<Json[]> {
  const all: Json[] = [];
  for (let url: string | undefined = path; url !== undefined; ) {
    const bundle: Json = await ready.ask('GET', url);
    all.push(...(bundle.entry ?? []).map((entry: Json) => entry.resource));
    url = bundle.link?.find((link: Json) => link.relation === 'next')?.url;
  }
  return all;
}

/** One Provenance per message, one Observation per result, one visit per patient of ADT. */
async function checkCounts(
  ready: Ready,
  sent: Sent[],
  senders: KillReport['senders'],
): Promise<void> {
  const { resources, messages } = await ready.ask('GET', '/admin/stats');
  const counts = Object.fromEntries(resources.map((row: Json) => [row.type, row.count]));
  const results = sent.filter(({ family }) => family === '');
  const adtSenders = senders.filter(({ channel }) => channel === 'adt-inbound');
  const patients = new Set(adtSenders.flatMap(({ pids }) => pids)).size;
  const { Provenance, Observation, DiagnosticReport, Patient, Encounter } = counts;
  deepStrictEqual(
    { Provenance, Observation, DiagnosticReport, Patient, Encounter },
    {
      Provenance: sent.length,
      Observation: results.length,
      DiagnosticReport: results.length,
      Patient: patients,
      Encounter: patients,
    },
  );
  strictEqual(messages.filter((row: Json) => row.state !== 'processed').length, 0);
}

/** The log verifies against the anchors, and tells of each message's acts once. */
async function checkAudit(ready: Ready, stored: { id: string }[], folder: string): Promise<number> {
  const verified = await ready.ask('POST', '/admin/audit/verify', { anchors: readAnchors(folder) });
  strictEqual(verified.ok, true, JSON.stringify(verified));
  const acts = new Map<string, string[]>();
  for (let from: number | undefined = 1; from !== undefined; ) {
    const page: Json = await ready.ask('GET', `/admin/audit?limit=${PAGE}&from=${from}`);
    for (const event of page.entries) {
      const act = event.subtype[0].code;
      const message = event.entity?.find((one: Json) => one.what.identifier !== undefined);
      if (act !== 'receive' && act !== 'transform') continue;
      const id = message.what.identifier.value;
      acts.set(id, [...(acts.get(id) ?? []), act]);
    }
    from = page.next;
  }
  const twice = stored.filter(({ id }) => acts.get(id)?.join(' ') !== 'receive transform');
  deepStrictEqual(twice, []);
  strictEqual(acts.size, stored.length);
  return verified.entries;
}

/** A kill may tear the last line of the file. */
function readAnchors(folder: string): Json[] {
  const file = join(folder, 'data', 'audit', 'anchors.jsonl');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

/** Few at a time: the server's limit of connections is not what is tested. */
async function mapLimited<T, R>(items: T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await act(items[at] as T);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return results;
}
