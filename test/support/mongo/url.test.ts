// What the tests make of the url of a real server: its user, password and options must survive.
import { describe, expect, it } from 'vitest';
import { throughProxy, withDatabase } from './url.ts';

const PROXIED: [string, string][] = [
  ['mongodb://a:1,b:2/?replicaSet=rs0', 'mongodb://127.0.0.1:9/?directConnection=true'],
  ['mongodb://a', 'mongodb://127.0.0.1:9/?directConnection=true'],
  [
    'mongodb://u:p%40@a:1/db?tls=true&authSource=admin',
    'mongodb://u:p%40@127.0.0.1:9/db?tls=true&authSource=admin' +
      '&tlsAllowInvalidHostnames=true&directConnection=true',
  ],
  [
    'mongodb://a/?tls=true&tlsInsecure=true',
    'mongodb://127.0.0.1:9/?tls=true&tlsInsecure=true&directConnection=true',
  ],
  [
    'mongodb://a/?ssl=true&tlsAllowInvalidCertificates=true&directConnection=true',
    'mongodb://127.0.0.1:9/?ssl=true&tlsAllowInvalidCertificates=true&directConnection=true',
  ],
];

const NAMED: [string, string][] = [
  ['mongodb://a:1', 'mongodb://a:1/mine'],
  ['mongodb://a:1?w=1', 'mongodb://a:1/mine?w=1'],
  ['mongodb://u:p@a,b/?tls=true', 'mongodb://u:p@a,b/mine?tls=true&authSource=admin'],
  ['mongodb://u:p@a/old', 'mongodb://u:p@a/mine?authSource=old'],
  ['mongodb://u:p@a/old?authSource=x', 'mongodb://u:p@a/mine?authSource=x'],
];

describe('the url of a real server', () => {
  it.each(PROXIED)('leads through a proxy: %s', (url, expected) => {
    expect(throughProxy(url, 9)).toBe(expected);
  });

  it.each(NAMED)('names a database: %s', (url, expected) => {
    expect(withDatabase(url, 'mine')).toBe(expected);
  });

  it('is not repeated when it will not do', () => {
    expect(() => withDatabase('mongodb+srv://u:secret@a', 'mine')).toThrow(/^(?!.*secret)/);
  });
});
