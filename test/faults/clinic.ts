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
  /** Reads that were answered, and those that were refused or not answered. */
  readonly reads = { answered: 0, failed: 0 };
  readonly #rig: Rig;
  readonly #running: Promise<void>;
  #stopping = false;
  #made = 0;
  #asked = 0;

  constructor(rig: Rig) {
    this.#rig = rig;
    this.#running = this.#work();
  }

  async finish(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #work(): Promise<void> {
    while (!this.#stopping) {
      this.#made += 1;
      const family = `Update${this.#made}`;
      while (!(await this.#update(family))) await pause(REST_MS);
      this.acked.push(family);
      this.reads[(await this.read()) ? 'answered' : 'failed'] += 1;
      await pause(REST_MS);
    }
  }

  /** Whether the Patient is shown. */
  async read(): Promise<boolean> {
    return (await this.#ask('GET')) === 200;
  }

  async #update(family: string): Promise<boolean> {
    const body = { resourceType: 'Patient', id: this.id, name: [{ family }] };
    return [200, 201].includes(await this.#ask('PUT', JSON.stringify(body)));
  }

  /** Of one server after the other. The status; 0 = no answer. */
  async #ask(method: string, body?: string): Promise<number> {
    this.#asked += 1;
    const { url, secret } = await this.#rig.reach('api', this.#asked);
    const headers: Record<string, string> = { authorization: `Bearer ${secret}` };
    if (body !== undefined) headers['content-type'] = 'application/fhir+json';
    try {
      const response = await fetch(new URL(`/fhir/R4/Patient/${this.id}`, url), {
        ...{ method, headers, signal: AbortSignal.timeout(ANSWER_MS_MAX) },
        ...(body === undefined ? {} : { body }),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  }
}
