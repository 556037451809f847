// Options of a channel file that decide whose data it is, where it listens and who keeps a port.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ChannelContext } from '../../src/config/channel-file.ts';
import { loadChannels } from '../../src/config/channels.ts';
import { loadConfig } from '../../src/config/config.ts';
import { defaultLimits } from '../../src/config/limits.ts';
import { readPortOwners, writePortOwners } from '../../src/config/port-owners.ts';
import { newFolder, removeFolders } from '../support/folder.ts';

afterAll(removeFolders);

const mllp = (port: number, more = '') =>
  `format: hl7v2\nsource:\n  kind: mllp\n  port: ${port}\n${more}`;

function load(files: Record<string, string>, more: Partial<ChannelContext> = {}) {
  const folder = newFolder();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const { channels, problems } = loadChannels(folder, {
    environment: {},
    limits: defaultLimits(),
    ...more,
  });
  return { channels, names: channels.map(({ name }) => name), problems };
}

describe('a channel', () => {
  it('of a tenant that nobody can read is refused with a sentence', () => {
    const { problems } = load({ 'a.yaml': mllp(2600, 'tenant: north\n') });
    expect(problems).toMatchObject([{ line: 5, path: '/tenant' }]);
    expect(problems[0]?.text).toContain("no token of this version can read another tenant's data");
  });

  it('of a site without a folder is refused, one with a folder is not', () => {
    const mappingsDir = newFolder();
    mkdirSync(join(mappingsDir, 'sites', 'north'), { recursive: true });
    const files = { 'a.yaml': mllp(1, 'site: nort\n'), 'b.yaml': mllp(2, 'site: north\n') };
    const { names, problems } = load(files, { mappingsDir });
    expect(names).toEqual(['b']);
    expect(problems).toMatchObject([{ file: 'a.yaml', line: 5, path: '/site' }]);
  });

  it('without a host listens where the process does', () => {
    const own = mllp(2601, '  host: 127.0.0.9\n');
    const config = loadConfig({ ARTERY_HOST: '127.0.0.7' });
    const { channels } = load({ 'a.yaml': mllp(2600), 'b.yaml': own }, { host: config.host });
    expect(channels.map(({ source }) => 'host' in source && source.host)).toEqual([
      '127.0.0.7',
      '127.0.0.9',
    ]);
  });

  it('takes production data only where its file does not say otherwise', () => {
    const more = 'processingIds: [P, T]\notherProcessing: set-aside\n';
    const { channels } = load({ 'a.yaml': mllp(1), 'b.yaml': mllp(2, more) });
    expect(channels).toMatchObject([
      { processingIds: ['P'], otherProcessing: 'refuse' },
      { processingIds: ['P', 'T'], otherProcessing: 'set-aside' },
    ]);
    expect(load({ 'c.yaml': mllp(1, 'processingIds: [X]\n') }).problems).toHaveLength(1);
  });
});

describe('two files with one port', () => {
  const files = { 'a.yaml': mllp(2600), 'z.yaml': mllp(2600) };

  it.each([
    ['a', 'z.yaml'],
    ['z', 'a.yaml'],
  ])('leave it to %s, which had it, and refuse %s', (owner, refused) => {
    const portOwners = () => new Map([[2600, owner]]);
    const { names, problems } = load(files, { portOwners });
    expect(names).toEqual([owner]);
    expect(problems).toMatchObject([{ file: refused, path: '/source/port' }]);
  });

  it('are told apart after a restart by the note of the data folder', () => {
    const dataDir = newFolder();
    expect(readPortOwners(dataDir).size).toBe(0);
    writePortOwners(dataDir, new Map([[2600, 'z']]));
    const portOwners = () => readPortOwners(dataDir);
    expect(load(files, { portOwners }).names).toEqual(['z']);
    writeFileSync(join(dataDir, 'run', 'ports.json'), 'not JSON');
    expect(load(files, { portOwners }).names).toEqual(['a']);
  });
});
