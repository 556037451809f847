// Wakes who waits to write to a socket that has closed. The MongoDB driver (7.9) waits for `drain`
// without a limit of time, and a closed socket never emits it:
// docs/decisions/011-a-driver-that-hangs.md.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** Node publishes there each connection that this thread begins, over TCP or TLS. */
const CONNECTIONS = 'net.client.socket';

/**
 * To be called before the first connection; more calls change nothing. From then on it holds for
 * every socket that this thread connects, whoever uses it: the wait of who waits is over indeed.
 */
export function wakeWritersOfClosedSockets(): void {
  unsubscribe(CONNECTIONS, wakeWhenClosed);
  subscribe(CONNECTIONS, wakeWhenClosed);
}

/**
 * The driver looks at its connection when it wakes, and finds the error that closed it: promises
 * are continued after all listeners of `close` have run.
 */
function wakeWhenClosed(connection: unknown): void {
  const { socket } = connection as { socket: Socket };
  socket.once('close', () => socket.emit('drain'));
}
