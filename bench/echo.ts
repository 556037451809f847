// The calibration: a bare MLLP echo. It frames by scanning for the end block and answers AA with
// the control id, and does nothing else: the ceiling of this machine for a server in Node.
import { createServer } from 'node:net';

const FS = 0x1c;

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    let out = '';
    for (let end = bytes.indexOf(FS); end >= 0; end = bytes.indexOf(FS, start)) {
      const head = bytes.toString('latin1', start, Math.min(end, start + 200));
      const id = head.split('|', 10)[9] ?? '';
      out += `\x0bMSH|^~\\&|||||||ACK|${id}|P|2.5.1\rMSA|AA|${id}\r\x1c\r`;
      start = end + 2;
    }
    rest = bytes.subarray(start);
    if (out !== '') socket.write(out, 'latin1');
  });
  socket.on('error', () => socket.destroy());
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : 0 });
});
process.on('disconnect', () => process.exit(0));
