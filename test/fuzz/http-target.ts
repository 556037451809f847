// Mutated HTTP: raw requests on a socket, and well-formed ones with odd paths, queries and bodies.
import { connect } from 'node:net';
import { mutateJson } from './mutate-json.ts';
import { mutateText, ODD_TEXTS } from './mutate-text.ts';
import type { Random } from './random.ts';
import type { Watched } from './server.ts';

const ANSWER_MS = 15_000;
const TYPES = [
  'Patient',
  'Observation',
  'Encounter',
  'Practitioner',
  'Basic',
  'toString',
  'Nothing',
];
const PARAMETERS = [
  'name',
  'identifier',
  'birthdate',
  '_id',
  '_lastUpdated',
  '_count',
  '_sort',
  'code',
]
  .concat([
    'value-quantity',
    'subject',
    '_cursor',
    '_format',
    '_summary',
    '_total',
    'date',
    'constructor',
  ])
  .concat(['name:contains', 'gender:missing', 'identifier:of-type', 'code:in', 'subject:Patient']);
const VALUES = [
  'eq2020',
  'gt1.7e308',
  '5.4|http://unitsofmeasure.org|mg',
  'Patient/p1',
  '|',
  '$',
  ',',
].concat(['http://loinc.org|718-7', '-_lastUpdated', 'true', '2020-02-30', '1000000000', '-1']);
const ADMIN = [
  'messages',
  'messages/x',
  'channels',
  'audit',
  'stats',
  'tokens',
  'keys',
  'patients/p1/forget',
].concat(['messages?state=received', 'messages?limit=0', 'audit?from=-1', 'messages?from=never']);
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];

/** Statuses of a server that is well: 501 and 505 name what the request asked for. */
function isFault(status: number): boolean {
  return status >= 500 && status !== 501 && status !== 505;
}

export async function fuzzRequest(random: Random, server: Watched): Promise<void> {
  const path = pathOf(random);
  const head = [
    `${random.pick(METHODS)} ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...(random.chance(0.8) ? [`Authorization: Bearer ${server.ready.secret}`] : []),
    ...(random.chance(0.3) ? [oddHeader(random)] : []),
    'Connection: close',
  ].join('\r\n');
  const raw = `${random.chance(0.3) ? mutateText(random, head) : head}\r\n\r\n`;
  const answer = await ask(server.ready.url, Buffer.from(raw, 'latin1'));
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer.text)?.[1] ?? 0);
  if (isFault(status)) server.report(`${status} to a request`, raw);
  if (answer.late) server.report('a request got no answer and no end', raw);
}

function pathOf(random: Random): string {
  const odd = encodeURIComponent(random.pick(ODD_TEXTS).toWellFormed());
  const query = Array.from({ length: random.below(4) }, () => {
    const value = random.chance(0.5) ? random.pick(VALUES) : odd;
    return `${random.pick(PARAMETERS)}=${random.chance(0.8) ? encodeURI(value) : value}`;
  }).join('&');
  const end = query === '' ? '' : `?${query}`;
  const type = random.pick(TYPES);
  return random.pick([
    `/fhir/R4/${type}${end}`,
    `/fhir/R4/${type}/${random.pick(['p1', odd, '%ff', '%00', 'x'.repeat(9_000)])}${end}`,
    `/fhir/R4/${type}/_history${end}`,
    `/fhir/R4/${type}/p1/_history/${random.pick(['1', '0', '-1', '9'.repeat(30), odd])}`,
    `/fhir/R4/metadata${end}`,
    `/admin/${random.pick(ADMIN)}`,
    `/admin/messages/${odd}`,
    `/channels/${random.pick(['fhir-inbound', 'rest-inbound', 'adt-inbound', 'toString', odd])}`,
    `/${odd}`,
    random.pick(['/health', '/livez', '/readyz', '/metrics', '/', '//', '/%', '*', 'http://x/y']),
  ]);
}

function oddHeader(random: Random): string {
  const value = random.pick(ODD_TEXTS).replace(/[\r\n\0]/g, '');
  return random.pick([
    `Accept: ${value}`,
    `Content-Type: ${value}`,
    `If-Match: ${value}`,
    `X-Request-Id: ${value}`,
    `Prefer: ${value}`,
    `Content-Length: ${random.pick(['5', '-1', '1e3', '99999999999999999999'])}`,
    'Transfer-Encoding: chunked',
    `Host: ${value}`,
    `X-Odd: ${'y'.repeat(20_000)}`,
  ]);
}

function ask(url: string, bytes: Uint8Array): Promise<{ text: string; late: boolean }> {
  const { port, hostname } = new URL(url);
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    const end = (late: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, late });
    };
    const timer = setTimeout(() => end(text === ''), ANSWER_MS);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('end', () => end(false));
    socket.end(bytes);
  });
}

/** A mutated document by a well-formed request. */
export async function fuzzDocument(
  random: Random,
  value: unknown,
  target: { method: 'POST' | 'PUT'; path: string; type: string },
  server: Watched,
): Promise<void> {
  const body = mutateJson(random, value);
  const answer = await fetch(new URL(target.path, server.ready.url), {
    method: target.method,
    headers: { authorization: `Bearer ${server.ready.secret}`, 'content-type': target.type },
    body: Buffer.from(body, 'utf8'),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((thrown: Error) => thrown);
  if (answer instanceof Error) {
    server.report(`${target.method} ${target.path} got no answer (${answer.name})`, body);
    return;
  }
  await answer.arrayBuffer();
  if (isFault(answer.status)) {
    server.report(`${answer.status} to ${target.method} ${target.path}`, body);
  }
}
