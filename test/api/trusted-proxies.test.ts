// HTTP beyond loopback needs a stated proxy; only that proxy says who the caller is.
import { afterAll, expect, it } from 'vitest';
import { openTestEngine, removeFolders } from '../support/engine.ts';

afterAll(() => removeFolders());

it('refuses to listen beyond loopback without a stated proxy', async () => {
  const started = openTestEngine({ environment: { ARTERY_HOST: '0.0.0.0' } });
  await expect(started).rejects.toThrow('ARTERY_TRUSTED_PROXIES');
}, 60_000);

it.each([
  ['127.0.0.0/8', 'https://'],
  ['10.9.8.7', 'http://'],
])(
  'believes X-Forwarded-Proto of %s alone',
  async (proxies, scheme) => {
    const engine = await openTestEngine({ environment: { ARTERY_TRUSTED_PROXIES: proxies } });
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '192.0.2.7' };
    const answer = await engine.request('GET', '/fhir/R4/metadata', { headers });
    expect(answer.json.implementation.url).toContain(scheme);
    await engine.stop();
  },
  60_000,
);
