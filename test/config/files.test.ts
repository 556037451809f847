// The root key file, the run file and the watcher, on a real folder.
import { chmodSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { defaultLimits } from '../../src/config/limits.ts';
import { openRootKey, replaceRootKey } from '../../src/config/root-key.ts';
import { readRunFile, runFilePath, writeRunFile } from '../../src/config/run-file.ts';
import { watchChannels } from '../../src/config/watch.ts';
import { newFolder, removeFolders } from '../support/folder.ts';

const GOOD = 'format: fhir\nsource: { kind: http }\n';

afterAll(removeFolders);

describe('openRootKey', () => {
  it('makes the key once, for its owner only', () => {
    const place = { rootKey: null, rootKeyFile: join(newFolder(), 'keys', 'root.key') };
    expect(openRootKey(place, () => 'first', true)).toEqual({ text: 'first', made: true });
    expect(statSync(place.rootKeyFile).mode & 0o777).toBe(0o600);
    expect(openRootKey(place, () => 'second', true)).toEqual({ text: 'first', made: false });
  });

  it('makes no new key beside data that it could not open', () => {
    const place = { rootKey: null, rootKeyFile: join(newFolder(), 'root.key') };
    expect(() => openRootKey(place, () => 'new', false)).toThrow(/missing.*restore the key/);
  });

  it('refuses a key that others can read', () => {
    const place = { rootKey: null, rootKeyFile: join(newFolder(), 'root.key') };
    openRootKey(place, () => 'key', true);
    chmodSync(place.rootKeyFile, 0o644);
    expect(() => openRootKey(place, () => 'key', true)).toThrow(/chmod 600/);
  });

  it('is replaced whole, and only in a file', () => {
    const place = { rootKey: null, rootKeyFile: join(newFolder(), 'root.key') };
    openRootKey(place, () => 'old', true);
    replaceRootKey(place, 'new');
    expect(openRootKey(place, () => '', false).text).toBe('new');
    expect(statSync(place.rootKeyFile).mode & 0o777).toBe(0o600);
    expect(() => replaceRootKey({ ...place, rootKey: 'given' }, 'x')).toThrow(/ARTERY_ROOT_KEY/);
  });
});

describe('a draft of the root key file', () => {
  it('that a kill has left is removed, and one of a process that lives is not', () => {
    const folder = newFolder();
    const place = { rootKey: null, rootKeyFile: join(folder, 'root.key') };
    openRootKey(place, () => 'key', true);
    const left = join(folder, 'root.key.4194303.new');
    const alive = join(folder, `root.key.${process.ppid}.new`);
    for (const file of [left, alive]) writeFileSync(file, 'secret', { mode: 0o600 });
    openRootKey(place, () => 'other', true);
    expect(existsSync(left)).toBe(false);
    expect(existsSync(alive)).toBe(true);
  });
});

describe('the run file', () => {
  const note = { pid: process.pid, url: 'http://127.0.0.1:1', secret: 's' };

  it('is for its owner only and is found while its process lives', () => {
    const folder = newFolder();
    expect(readRunFile(folder)).toBeUndefined();
    writeRunFile(folder, note);
    expect(statSync(runFilePath(folder)).mode & 0o777).toBe(0o600);
    expect(readRunFile(folder)).toEqual(note);
    writeRunFile(folder, { ...note, pid: 2 ** 30 });
    expect(readRunFile(folder)).toBeUndefined();
  });
});

describe('watchChannels', () => {
  it('tells of a new, a broken and a removed file, once each', async () => {
    const folder = newFolder();
    const limits = { ...defaultLimits(), reloadDelayMs: 20, reloadPollMs: 50 };
    const seen: string[] = [];
    let told: () => void = () => undefined;
    const watcher = watchChannels(folder, { environment: {}, limits }, (loaded) => {
      seen.push(`${loaded.channels.length} run, ${loaded.problems.length} refused`);
      told();
    });
    const change = async (act: () => void): Promise<void> => {
      const next = new Promise<void>((resolve) => {
        told = resolve;
      });
      act();
      await next;
    };
    await change(() => writeFileSync(join(folder, 'a.yaml'), GOOD));
    await change(() => writeFileSync(join(folder, 'b.yaml'), 'format: fhir\nsource: 1\n'));
    await change(() => rmSync(join(folder, 'a.yaml')));
    watcher.close();
    expect(seen).toEqual(['1 run, 0 refused', '1 run, 1 refused', '0 run, 1 refused']);
  });
});
