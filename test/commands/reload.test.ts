// SIGHUP to a running server: its files are read again at once.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { projectDir } from '../../src/config/config.ts';
import { type Child, pause, startChild } from '../support/child.ts';
import { type Json, newFolder, removeFolders } from '../support/engine.ts';

let child: Child | undefined;

afterEach(() => child?.stop());
afterAll(removeFolders);

describe('SIGHUP', () => {
  it('makes the server read a new channel file, and goes on serving', async () => {
    const folder = newFolder();
    const channels = join(folder, 'channels');
    cpSync(join(projectDir(), 'channels'), channels, { recursive: true });
    const server = startChild(folder, {
      ARTERY_CHANNELS_DIR: channels,
      // The folder's own watch would take a minute.
      ARTERY_RELOAD_DELAY_MS: '60000',
      ARTERY_RELOAD_POLL_MS: '60000',
    });
    child = server;
    const ready = await server.ready;
    const names = async (): Promise<string[]> =>
      (await ready.ask('GET', '/admin/channels')).channels.map((one: Json) => one.name);
    const file = readFileSync(join(channels, 'rest-inbound.yaml'), 'utf8');
    writeFileSync(join(channels, 'added.yaml'), file);
    expect(await names()).not.toContain('added');
    server.signal('SIGHUP');
    for (let tries = 0; tries < 200 && !(await names()).includes('added'); tries += 1) {
      await pause(50);
    }
    expect(await names()).toContain('added');
    expect(server.output()).toContain('SIGHUP: reading channels, mappings and certificates');
  });
});
