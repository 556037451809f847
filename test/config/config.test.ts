// Settings: defaults, coercion, secrets from files, and every fault in one error.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { LIMITS, limitVariable } from '../../src/config/limits.ts';
import { newFolder, removeFolders } from '../support/folder.ts';

afterAll(removeFolders);

describe('loadConfig', () => {
  it('has safe defaults and is frozen', () => {
    const config = loadConfig({});
    expect(config.host).toBe('127.0.0.1');
    expect(config.httpPort).toBe(8080);
    expect(config.rootKeyFile).toBe(join(config.dataDir, 'keys', 'root.key'));
    expect(config.limits.frameBytesMax).toBe(16 * 1024 * 1024);
    expect(Object.isFrozen(config) && Object.isFrozen(config.limits)).toBe(true);
  });

  it('sets each limit by its variable, within its bounds', () => {
    for (const [name, row] of Object.entries(LIMITS)) {
      const config = loadConfig({ [limitVariable(name)]: String(row.min) });
      expect(config.limits[name as keyof typeof LIMITS]).toBe(row.min);
      expect(() => loadConfig({ [limitVariable(name)]: String(row.max + 1) })).toThrow(ConfigError);
    }
  });

  it('shows all faults together, with name, expected and found kind', () => {
    const faults = faultsOf({
      ARTERY_HTTP_PORT: '99999',
      ARTERY_LOG_LEVEL: 'loud',
      ARTERY_FRAME_BYTES_MAX: 'many',
      ARTERY_HTTP_PROT: '8081',
    });
    expect(faults.map((fault) => fault.name).sort()).toEqual([
      'ARTERY_FRAME_BYTES_MAX',
      'ARTERY_HTTP_PORT',
      'ARTERY_HTTP_PROT',
      'ARTERY_LOG_LEVEL',
    ]);
    expect(faults.find((fault) => fault.name === 'ARTERY_HTTP_PORT')).toMatchObject({
      expected: 'a whole number from 0 to 65535',
      found: 'text of 5 characters',
    });
  });

  it('never shows the value of a secret', () => {
    const error = errorOf({ ARTERY_ROOT_KEY: 'short-secret' });
    expect(error.message).toContain('ARTERY_ROOT_KEY');
    expect(error.message).not.toContain('short-secret');
  });

  it('takes both servers of the cluster engine or neither, also from files', () => {
    const MONGODB_URL = 'mongodb://artery:mongo-secret@db/?replicaSet=rs0';
    const REDIS_URL = 'redis://:redis-secret@queue:6379/1';
    expect(loadConfig({}).cluster).toBeNull();
    expect(loadConfig({ MONGODB_URL: '', REDIS_URL: '' }).cluster).toBeNull();
    expect(loadConfig({ MONGODB_URL, REDIS_URL }).cluster).toEqual({
      mongodbUrl: MONGODB_URL,
      redisUrl: REDIS_URL,
    });
    const file = join(newFolder(), 'redis.url');
    writeFileSync(file, `${REDIS_URL}\n`);
    expect(loadConfig({ MONGODB_URL, REDIS_URL_FILE: file }).cluster?.redisUrl).toBe(REDIS_URL);
    expect(faultsOf({ MONGODB_URL })).toEqual([
      {
        name: 'REDIS_URL',
        expected: 'a value, as MONGODB_URL has one (both, or neither)',
        found: 'nothing',
      },
    ]);
    expect(faultsOf({ REDIS_URL }).map(({ name }) => name)).toEqual(['MONGODB_URL']);
    const gone = faultsOf({ MONGODB_URL, REDIS_URL_FILE: `${file}.gone` });
    expect(gone.map(({ name }) => name)).toEqual(['REDIS_URL_FILE']);
    const wrong = errorOf({ MONGODB_URL: 'http://mongo-secret', REDIS_URL });
    expect(wrong.faults.map(({ name }) => name)).toEqual(['MONGODB_URL']);
    expect(wrong.message).not.toContain('secret');
  });

  it('refuses a number that is text with a number in it', () => {
    for (const port of ['80a', '8e', '', ' ', '1.5', '-1', '0x50z']) {
      const faults = port === '' ? [] : faultsOf({ ARTERY_HTTP_PORT: port });
      expect(faults.length, `port "${port}"`).toBe(port === '' ? 0 : 1);
    }
  });

  it('lets channel files have variables of their own', () => {
    expect(() => loadConfig({ ARTERY_ADT_PORT: '2575', ARTERY_TIMEZONE: 'UTC' })).not.toThrow();
  });

  it('keeps the root key file that is named, made or not', () => {
    const folder = newFolder();
    const file = join(folder, 'own.key');
    expect(loadConfig({ ARTERY_ROOT_KEY_FILE: file })).toMatchObject({
      rootKey: null,
      rootKeyFile: file,
    });
    writeFileSync(file, 'x'.repeat(40));
    expect(loadConfig({ ARTERY_ROOT_KEY_FILE: file }).rootKey).toBeNull();
    expect(faultsOf({ ARTERY_ROOT_KEY_FILE: file, ARTERY_ROOT_KEY: 'y'.repeat(40) })).toHaveLength(
      1,
    );
  });
});

function errorOf(environment: Record<string, string>): ConfigError {
  try {
    loadConfig(environment);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown;
    throw thrown;
  }
  throw new Error('no fault was found');
}

function faultsOf(environment: Record<string, string>): ConfigError['faults'] {
  return errorOf(environment).faults;
}
