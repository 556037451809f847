// The one judge: compares what was acknowledged with what is stored, by the public surfaces alone.
// Each acknowledged message is stored once, had one effect, in its patient's order, with its audit
// entries; nothing waits; the audit log verifies. Plain assertions: a script runs it too.
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shortName } from '../../src/crypto/uuid.ts';
import type { Ready } from '../support/child.ts';
import type { Json } from '../support/engine.ts';
import type { Clinic } from './clinic.ts';
import type { Feed, Line, Sent } from './feed.ts';
import type { Rig } from './rig.ts';

const PAGE = 500;
const RAW_READ = 20;

interface Row {
  id: string;
  seq: number;
  state: string;
}

export interface Verdict {
  messages: number;
  setAside: number;
  /** Of the whole log. */
  entries: number;
}

/** One per rig; each call judges what came since the last one. */
export class Oracle {
  readonly #rig: Rig;
  #seq = 0;
  #auditSeq = 0;
  #processed = 0;
  #poisoned = 0;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  /** Everything was acknowledged and nothing waits: what holds now? */
  async check(feed: Feed, clinic?: Clinic): Promise<Verdict> {
    const api = await this.#rig.reach('api');
    deepStrictEqual(this.#rig.unexpected, [], 'processes ended by themselves');
    const sent = feed.lines.flatMap(({ acked }) => acked);
    deepStrictEqual(open(feed), [], 'messages were left unacknowledged');
    const rows = await this.#newRows(api);
    await checkStored(api, sent, rows);
    checkArrival(feed.lines, rows);
    const versions = await checkLines(api, feed.lines);
    const written = await this.#checkEntries(api, sent, rows);
    for (const { reference, count } of versions) checkWritten(written, reference, count);
    if (clinic !== undefined) await checkClinic(api, clinic, written);
    await this.#checkCounts(api, sent);
    const verified = await this.#verify(api);
    const standIn = this.#rig.servers?.mongo.standIn;
    deepStrictEqual(await standIn?.refused(), standIn && []);
    const setAside = sent.filter(({ poison }) => poison).length;
    return { messages: sent.length, setAside, entries: verified };
  }

  async #newRows(api: Ready): Promise<Row[]> {
    const rows: Row[] = [];
    for (let before: number | undefined = Number.MAX_SAFE_INTEGER; before !== undefined; ) {
      const path = `/admin/messages?limit=${PAGE}&before=${before}`;
      const page: { messages: Row[]; next?: number } = await api.ask('GET', path);
      const fresh = page.messages.filter(({ seq }) => seq > this.#seq);
      rows.push(...fresh);
      before = fresh.length < page.messages.length ? undefined : page.next;
    }
    this.#seq = Math.max(this.#seq, ...rows.map(({ seq }) => seq));
    return rows;
  }

  /** Each message was received once and transformed once; answers how often a version is named. */
  async #checkEntries(api: Ready, sent: Sent[], rows: Row[]): Promise<Map<string, number>> {
    const acts = new Map<string, string[]>();
    const written = new Map<string, number>();
    for (let from: number | undefined = this.#auditSeq + 1; from !== undefined; ) {
      const page: Json = await api.ask('GET', `/admin/audit?limit=${PAGE}&from=${from}`);
      for (const event of page.entries) takeEvent(event, acts, written);
      this.#auditSeq += page.entries.length;
      from = page.next;
    }
    const poisoned = new Set(sent.filter(({ poison }) => poison).map(({ storedAs }) => storedAs));
    for (const { id } of rows) {
      const isPoison = poisoned.has(shortName(id));
      const expected = isPoison ? 'receive set-aside' : 'receive transform';
      strictEqual(acts.get(id)?.join(' '), expected, `audit entries of message ${id}`);
    }
    strictEqual(acts.size, rows.length, 'messages of which the audit log tells');
    return written;
  }

  /** One Provenance per message that had its effect, since the beginning. */
  async #checkCounts(api: Ready, sent: Sent[]): Promise<void> {
    const poisoned = sent.filter(({ poison }) => poison).length;
    this.#poisoned += poisoned;
    this.#processed += sent.length - poisoned;
    const { resources, messages } = await api.ask('GET', '/admin/stats');
    const count = (rows: Json[], name: string, value: string) =>
      rows.filter((row) => row[name] === value).reduce((sum, row) => sum + row.count, 0);
    deepStrictEqual(
      {
        provenances: count(resources, 'type', 'Provenance'),
        processed: count(messages, 'state', 'processed'),
        setAside: count(messages, 'state', 'set-aside'),
        waiting: count(messages, 'state', 'received'),
      },
      {
        provenances: this.#processed,
        processed: this.#processed,
        setAside: this.#poisoned,
        waiting: 0,
      },
    );
  }

  async #verify(api: Ready): Promise<number> {
    const anchors = this.#rig.members.flatMap(({ folder }) => readAnchors(folder));
    const verified = await api.ask('POST', '/admin/audit/verify', { anchors });
    ok(verified.ok, `the audit log is broken: ${JSON.stringify(verified)}`);
    return verified.entries;
  }
}

function open(feed: Feed): string[] {
  return feed.lines.flatMap((line) => line.open.map(({ id }) => id));
}

/** Under the ids that the answers named, all of them, nothing else, and each at its end. */
async function checkStored(api: Ready, sent: Sent[], rows: Row[]): Promise<void> {
  const stored = rows.map(({ id, state }) => `${shortName(id)} ${state}`);
  const told = sent.map(
    ({ storedAs, poison }) => `${storedAs} ${poison ? 'set-aside' : 'processed'}`,
  );
  sameItems(stored, told, 'messages acknowledged, messages stored');
  strictEqual(new Set(told).size, told.length, 'answers with a control id each');
  const byId = new Map(sent.map((message) => [message.storedAs, message]));
  const step = Math.ceil(rows.length / RAW_READ);
  for (const { id } of rows.filter((_, n) => n % step === 0)) {
    const raw = await api.text(`/admin/messages/${id}/raw`);
    strictEqual(
      raw,
      Buffer.from(byId.get(shortName(id))?.bytes ?? []).toString(),
      `bytes of ${id}`,
    );
  }
}

/** Shows a few of those that only one side has: a diff of a hundred thousand helps nobody. */
function sameItems(actual: string[], expected: string[], what: string): void {
  const counts = new Map<string, number>();
  for (const item of actual) counts.set(item, (counts.get(item) ?? 0) + 1);
  for (const item of expected) counts.set(item, (counts.get(item) ?? 0) - 1);
  const few = (of: [string, number][]) => of.slice(0, 10).map(([item]) => item);
  const tooMany = few([...counts].filter(([, count]) => count > 0));
  const missing = few([...counts].filter(([, count]) => count < 0));
  deepStrictEqual({ tooMany, missing }, { tooMany: [], missing: [] }, what);
}

/** The messages of one patient are in the store in the order in which they were acknowledged. */
function checkArrival(lines: Line[], rows: Row[]): void {
  const seqs = new Map(rows.map(({ id, seq }) => [shortName(id), seq]));
  for (const { pid, acked } of lines) {
    const told = acked.map(({ id, storedAs, attempts }) => {
      return { id, attempts, seq: seqs.get(storedAs) ?? 0 };
    });
    const sorted = told.toSorted((one, other) => one.seq - other.seq);
    deepStrictEqual(sorted, told, `arrival of messages of ${pid}`);
  }
}

interface Versions {
  reference: string;
  count: number;
}

/** The versions of each patient's resource are the traces of its messages, in their order. */
async function checkLines(api: Ready, lines: Line[]): Promise<Versions[]> {
  const checked: Versions[] = [];
  for (const { channel, pid, acked } of lines) {
    const traces = acked.filter(({ poison }) => !poison).map(({ trace }) => trace);
    if (traces.length === 0) continue;
    let reference = await findOne(api, `Patient?identifier=${pid}`);
    const isAdt = channel === 'adt-inbound';
    if (!isAdt) reference = await findOne(api, `Observation?patient=${reference.split('/')[1]}`);
    const versions = await history(api, reference);
    deepStrictEqual(versions.map(isAdt ? familyOf : resultOf), traces, `history of ${pid}`);
    checked.push({ reference, count: traces.length });
  }
  return checked;
}

async function findOne(api: Ready, query: string): Promise<string> {
  const { entry } = await api.ask('GET', `/fhir/R4/${query}`);
  strictEqual(entry?.length, 1, `matches of ${query}`);
  return `${entry[0].resource.resourceType}/${entry[0].resource.id}`;
}

function resultOf(observation: Json): string {
  return String(observation.valueQuantity.value);
}

function familyOf(patient: Json): string {
  return patient.name[0].family;
}

/** An update that was repeated may have an entry more, which says that nothing changed. */
async function checkClinic(api: Ready, clinic: Clinic, written: Map<string, number>) {
  const reference = `Patient/${clinic.id}`;
  const versions = clinic.acked.length === 0 ? [] : await history(api, reference);
  deepStrictEqual(versions.map(familyOf), clinic.acked, 'updates of the FHIR client');
  for (const { meta } of versions) {
    ok(written.has(`${reference}/_history/${meta.versionId}`), `entry of ${meta.versionId}`);
  }
}

/** Oldest first. */
async function history(api: Ready, reference: string): Promise<Json[]> {
  const all: Json[] = [];
  let url: string | undefined = `/fhir/R4/${reference}/_history?_count=1000`;
  while (url !== undefined) {
    const bundle: Json = await api.ask('GET', url);
    all.push(...(bundle.entry ?? []).map((entry: Json) => entry.resource));
    url = bundle.link?.find((link: Json) => link.relation === 'next')?.url;
  }
  return all.reverse();
}

/** What one entry says of a message's way, or of versions that its commit wrote. */
function takeEvent(event: Json, acts: Map<string, string[]>, written: Map<string, number>): void {
  const act: string = event.subtype[0].code;
  const entities: Json[] = event.entity ?? [];
  const id = entities.find(({ what }) => what.identifier !== undefined)?.what.identifier.value;
  if (['receive', 'transform', 'set-aside'].includes(act)) {
    acts.set(id, [...(acts.get(id) ?? []), act]);
  }
  if (!['transform', 'create', 'update'].includes(act)) return;
  for (const { what } of entities) {
    const { reference } = what;
    if (reference !== undefined) written.set(reference, (written.get(reference) ?? 0) + 1);
  }
}

/** Each version is named by the entry of the commit that wrote it, and by no other. */
function checkWritten(written: Map<string, number>, reference: string, count: number): void {
  const named = Array.from({ length: count }, (_, n) => {
    return written.get(`${reference}/_history/${n + 1}`);
  });
  deepStrictEqual(new Set(named), new Set(count > 0 ? [1] : []), `entries of ${reference}`);
  const beyond = written.get(`${reference}/_history/${count + 1}`);
  strictEqual(beyond, undefined, `an entry of a version of ${reference} that is not there`);
}

/** A kill may tear the last line of the file. */
function readAnchors(folder: string): Json[] {
  const file = join(folder, 'data', 'audit', 'anchors.jsonl');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}
