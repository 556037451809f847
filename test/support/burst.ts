// Many messages at once: on one connection without waiting for answers, or over many connections.
import { connectMllp } from '../../src/source/mllp-client.ts';
import type { Json, TestEngine } from './engine.ts';

export async function portOf(engine: TestEngine, channel: string): Promise<number> {
  const { channels } = await engine.get('/admin/channels');
  const address: string = channels.find((one: Json) => one.name === channel).address;
  return Number(address.split(':').at(-1));
}

/** Pipelines all messages on one connection; answers their answers as texts, in order. */
export async function sendAtOnce(port: number, messages: string[]): Promise<string[]> {
  const client = await connectMllp({ host: '127.0.0.1', port, timeoutMs: 30_000 });
  const sent = messages.map((text) => client.send(Buffer.from(text.replaceAll('\n', '\r')), 1));
  const answers = await Promise.all(sent);
  await client.close();
  return answers.map(([answer]) => Buffer.from(answer ?? []).toString('latin1'));
}

/** MSA-1 of an answer: AA, CE... */
export function codeOf(answer: string): string {
  return /\rMSA(.)([A-Z]{2})\1/.exec(answer)?.[2] ?? '';
}

/** Family names of a patient's versions, oldest first. */
export async function familiesOf(engine: TestEngine, pid: string): Promise<string[]> {
  const found = await engine.get(`/fhir/R4/Patient?identifier=${pid}`);
  const ids = (found.entry ?? []).map((entry: Json) => entry.resource.id);
  if (ids.length !== 1) throw new Error(`${ids.length} patients have the identifier ${pid}`);
  const history = await engine.get(`/fhir/R4/Patient/${ids[0]}/_history?_count=1000`);
  return history.entry.map((entry: Json) => entry.resource.name[0].family).reverse();
}
