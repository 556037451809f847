// A command that comes while the server starts: the folder is taken, and nobody answers yet.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeRunFile } from '../../src/config/run-file.ts';
import { EngineError } from '../../src/model/errors.ts';
import { newFolder, removeFolders } from '../support/engine.ts';
import { runArtery } from './program.ts';

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
  removeFolders();
});

it('waits for the server and is answered by it', async () => {
  const dataDir = join(newFolder(), 'data');
  const asked: string[] = [];
  let opened = 0;
  const ran = await runArtery(['message', 'ls', '--json'], {
    environment: { ARTERY_DATA_DIR: dataDir },
    openApp: async () => {
      opened += 1;
      if (opened === 2) await startServer(dataDir, asked);
      throw new EngineError('STORE_LOCKED');
    },
  });
  expect(ran, ran.notes).toMatchObject({ code: 0, notes: '' });
  expect(opened).toBe(2);
  expect(asked).toContain('/admin/messages');
});

it('says at once what else stands in the way', async () => {
  let opened = 0;
  const ran = await runArtery(['message', 'ls'], {
    environment: { ARTERY_DATA_DIR: join(newFolder(), 'data') },
    openApp: async () => {
      opened += 1;
      throw new EngineError('KEY_UNAVAILABLE', 'The key is missing.');
    },
  });
  expect([ran.code, opened]).toEqual([4, 1]);
  expect(ran.notes).toContain('The key is missing.');
});

/** Answers as a server does that has no messages, and notes the paths that it is asked. */
async function startServer(dataDir: string, asked: string[]): Promise<void> {
  const server = createServer((request, response) => {
    asked.push(new URL(request.url ?? '', 'http://any').pathname);
    response.end(JSON.stringify({ messages: [] }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  writeRunFile(dataDir, { pid: process.pid, url: `http://127.0.0.1:${port}`, secret: 's' });
}
