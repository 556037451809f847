// A closed socket wakes who waits to write to it, over TCP and TLS: Node has to publish both.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { expect, it } from 'vitest';
import { wakeWritersOfClosedSockets } from '../../src/clients/closed-sockets.ts';
import { makeCa } from '../../src/crypto/certificate.ts';

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function expectWoken(server: Server, socket: Socket, connected: string): Promise<void> {
  await once(socket, connected);
  socket.destroy();
  const drained = once(socket, 'drain');
  expect(socket.write('too late')).toBe(false);
  await drained;
  server.close();
}

it('wakes a writer over TCP', async () => {
  wakeWritersOfClosedSockets();
  const server = createServer();
  const port = await listen(server);
  await expectWoken(server, connect(port, '127.0.0.1'), 'connect');
});

it('wakes a writer over TLS', async () => {
  wakeWritersOfClosedSockets();
  const { certificate: cert, key } = await makeCa({ commonName: 'ca', now: Date.now(), days: 2 });
  const server = createTlsServer({ cert, key });
  server.on('tlsClientError', () => undefined);
  const port = await listen(server);
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await expectWoken(server, socket, 'secureConnect');
});

it('wakes it once, however often it was asked for', async () => {
  for (let n = 0; n < 3; n++) wakeWritersOfClosedSockets();
  const server = createServer();
  const port = await listen(server);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let woken = 0;
  socket.on('drain', () => {
    woken += 1;
  });
  socket.destroy();
  await once(socket, 'close');
  expect(woken).toBe(1);
  server.close();
});
