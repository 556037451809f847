// Every refusal of the HTTP server has the form of its surface, quotes nothing of what was sent,
// and carries the same headers; also what Node and Fastify would answer by themselves.
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';

const URL_BYTES_MAX = 2_048;
const SECRET_WORD = 'Geheimrat';

let engine: TestEngine;

beforeAll(async () => {
  engine = await openTestEngine({
    environment: { ARTERY_URL_BYTES_MAX: String(URL_BYTES_MAX) },
  });
});

afterAll(async () => {
  await engine.stop();
  removeFolders();
});

interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/** Sends bytes as they are; answers what came until the server closed. */
function sendRaw(text: string): Promise<RawAnswer> {
  const { hostname, port } = new URL(engine.app.address);
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(text));
    socket.on('data', (part) => parts.push(part));
    socket.on('error', reject);
    socket.on('close', () => {
      const whole = Buffer.concat(parts).toString();
      const [head = '', body = ''] = whole.split('\r\n\r\n');
      const [status = '', ...lines] = head.split('\r\n');
      const headers = new Map<string, string>();
      for (const line of lines) {
        const at = line.indexOf(': ');
        headers.set(line.slice(0, at).toLowerCase(), line.slice(at + 2));
      }
      resolve({ status: Number(status.split(' ')[1]), headers, body });
    });
  });
}

/** The head of a request that ends its connection. */
function request(line: string, ...headers: string[]): string {
  return `${[line, 'Host: x', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`;
}

const LONG = 'a'.repeat(300);
const CASES: [string, number, string][] = [
  ['an escape that is no UTF-8', 400, request(`GET /%ff${SECRET_WORD} HTTP/1.1`)],
  ['the same as an id', 400, request(`GET /fhir/R4/Patient/%ff${SECRET_WORD} HTTP/1.1`)],
  ['a long step of the path', 414, request(`GET /fhir/R4/Patient/${LONG}${SECRET_WORD} HTTP/1.1`)],
  ['the same in /admin', 414, request(`GET /admin/messages/${LONG}${SECRET_WORD} HTTP/1.1`)],
  [
    'an address over the limit',
    414,
    request(`GET /fhir/R4/Patient?name=${SECRET_WORD}${'a'.repeat(URL_BYTES_MAX)} HTTP/1.1`),
  ],
  [
    'an address over all limits',
    414,
    request(`GET /fhir/R4/Patient?name=${SECRET_WORD}${'a'.repeat(40_000)} HTTP/1.1`),
  ],
  [
    'headers over the limit',
    431,
    request(`GET /fhir/R4/Patient HTTP/1.1`, `X-${SECRET_WORD}: ${'a'.repeat(40_000)}`),
  ],
  ['the same in /admin', 431, request('GET /admin/keys HTTP/1.1', `X: ${'a'.repeat(40_000)}`)],
  ['no HTTP', 400, `${SECRET_WORD}\r\n\r\n`],
  ['another version', 400, `GET /fhir/R4/${SECRET_WORD} HTTP/9.9\r\n\r\n`],
  ['no Host', 400, 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ['two lengths', 400, request('POST /fhir/R4/Patient HTTP/1.1', 'Content-Length: 1, 2')],
  ['another Expect', 400, request('POST /fhir/R4/Patient HTTP/1.1', `Expect: ${SECRET_WORD}`)],
  ['CONNECT', 405, request(`CONNECT ${SECRET_WORD}:443 HTTP/1.1`)],
  ['a method that is not served', 405, request('DELETE /admin/keys HTTP/1.1')],
  ['a method of WebDAV', 404, request(`PROPFIND /${SECRET_WORD} HTTP/1.1`)],
  ['no such address', 404, request(`GET /${SECRET_WORD} HTTP/1.1`)],
  ['a whole address', 401, request(`GET http://${SECRET_WORD}/fhir/R4/Patient HTTP/1.1`)],
  ['no such FHIR address', 401, request(`GET /fhir/R4/Patient/${SECRET_WORD} HTTP/1.1`)],
];

describe('a refusal', () => {
  it.each(CASES)('of %s is %i in the form of its surface', async (_name, status, text) => {
    const answer = await sendRaw(text);
    expect(answer.status).toBe(status);
    const isFhir = /^[A-Z]+ (http:\/\/\w+)?\/fhir/.test(text);
    expect(answer.headers.get('content-type')).toBe(
      `application/${isFhir ? 'fhir' : 'problem'}+json; charset=utf-8`,
    );
    const body = JSON.parse(answer.body);
    if (isFhir) expect(body.resourceType).toBe('OperationOutcome');
    else expect(body).toMatchObject({ status, code: expect.any(String) });
    expect(answer.body).not.toContain(SECRET_WORD);
    expect(answer.body).not.toContain('aaaa');
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });
});

describe('X-Request-Id', () => {
  const idOf = async (given: string) => {
    const headers = { 'x-request-id': given };
    return (await engine.request('GET', '/livez', { headers })).headers['x-request-id'];
  };
  it('comes back as it was sent', async () => {
    expect(await idOf('5f0c6a52-1c3f.trace_7')).toBe('5f0c6a52-1c3f.trace_7');
  });
  it.each(['short', 'a'.repeat(129), 'Jane Doe, born 1970', '<script>alert(1)</script>'])(
    'is made where the one sent is not well formed: %s',
    async (given) => {
      expect(await idOf(given)).toMatch(/^[0-9a-f-]{36}$/);
    },
  );
});

describe('the address of the server in answers', () => {
  it.each(['evil.example', 'evil.example:8080', 'localhost.evil.example', 'localhost:1'])(
    'is never the Host %s that nobody configured',
    async (host) => {
      const answer = await sendRaw(
        `GET /fhir/R4/metadata HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
      expect(answer.status).toBe(200);
      expect(answer.body).not.toContain(`//${host}/`);
      expect(answer.body).toContain(`${engine.app.address}/fhir/R4`);
    },
  );
  it('is the configured one, also in Location and in links', async () => {
    const other = await openTestEngine({
      environment: { ARTERY_PUBLIC_URL: 'https://fhir.hospital.example/north' },
    });
    const body = '{"resourceType":"Patient"}';
    const made = await other.request('POST', '/fhir/R4/Patient', { body });
    const base = 'https://fhir.hospital.example/north/fhir/R4/Patient';
    expect(made.headers.location).toMatch(new RegExp(`^${base}/`));
    const found = await other.request('GET', '/fhir/R4/Patient?_count=1');
    expect(found.json.link[0].url).toBe(`${base}?_count=1`);
    expect(found.json.entry[0].fullUrl).toMatch(new RegExp(`^${base}/`));
    await other.stop();
  });
});
