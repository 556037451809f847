// A FHIR client that writes one Patient again and again, and reads what it wrote: an update that
// gets no answer is repeated until it gets one. Judges nothing: see oracle.ts.
import { randomUUID } from 'node:crypto';
import { pause } from '../support/child.ts';
import type { Rig } from './rig.ts';

const ANSWER_MS_MAX = 6_000;
const REST_MS = 60;

export class Clinic {
  readonly id = randomUUID();
  /** Names that were acknowledged (200, 201), in their order. */
  readonly acked: string[] = [];
  readonly #rig: Rig;
  readonly #running: Promise<void>;
  #stopping = false;
  #aborted = false;
  #asked = 0;

  constructor(rig: Rig) {
    this.#rig = rig;
    this.#running = this.#work();
  }

  /** Resolves when its Patient is stored. */
  async begun(): Promise<void> {
    while (this.acked.length === 0) await pause(10);
  }

  async finish(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Leaves everything as it is: a round has failed. */
  abort(): void {
    this.#stopping = true;
    this.#aborted = true;
  }

  /** Whether the Patient is shown. */
  async read(): Promise<boolean> {
    return (await this.#ask('GET')).status === 200;
  }

  async #work(): Promise<void> {
    while (!this.#stopping) {
      const family = `Update${this.acked.length + 1}`;
      while (!(await this.#update(family))) {
        if (this.#aborted) return;
        await pause(REST_MS);
      }
      this.acked.push(family);
      await pause(REST_MS);
      await this.read();
    }
  }

  /** An earlier attempt may have been done without an answer, or come later: If-Match tells. */
  async #update(family: string): Promise<boolean> {
    const known = this.acked.length;
    const body = JSON.stringify({ resourceType: 'Patient', id: this.id, name: [{ family }] });
    const { status } = await this.#ask('PUT', body, matchOf(known));
    if (status !== 412) return status === 200 || status === 201;
    const stored = await this.#ask('GET');
    return stored.etag === etag(known + 1) && stored.text.includes(`"${family}"`);
  }

  /** Of one server after the other. Status 0 = no answer. */
  async #ask(method: string, body?: string, headers: Record<string, string> = {}) {
    this.#asked += 1;
    const type = body === undefined ? {} : { 'content-type': 'application/fhir+json' };
    try {
      const { url, secret } = await this.#rig.reach('api', this.#asked);
      const sent = { authorization: `Bearer ${secret}`, ...headers };
      const response = await fetch(new URL(`/fhir/R4/Patient/${this.id}`, url), {
        ...{ method, headers: { ...sent, ...type }, signal: AbortSignal.timeout(ANSWER_MS_MAX) },
        ...(body === undefined ? {} : { body }),
      });
      const tag = response.headers.get('etag') ?? '';
      return { status: response.status, etag: tag, text: await response.text() };
    } catch {
      return { status: 0, etag: '', text: '' };
    }
  }
}

function etag(version: number): string {
  return `W/"${version}"`;
}

function matchOf(version: number): Record<string, string> {
  return version === 0 ? { 'if-none-match': '*' } : { 'if-match': etag(version) };
}
