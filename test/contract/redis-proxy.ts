/** Stands between a sink and Redis, to lose the answer of a write as a cut network does. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface RedisProxy extends AsyncDisposable {
  /** The server's URL, through the proxy. */
  readonly url: string;
  /** The next batch is written on the server; its client only sees the connection end. */
  loseNextWriteAnswer(): void;
}

export async function startRedisProxy(url: string): Promise<RedisProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let armed = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 6379), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (chunk: Buffer) => upstream.write(chunk));
    upstream.on('data', (chunk: Buffer) => {
      if (armed && (chunk.includes('written') || chunk.includes('$6\r\nbehind\r\n'))) {
        armed = false;
        client.destroy();
      } else client.write(chunk);
    });
    client.on('close', () => upstream.end());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = typeof address === 'object' && address ? String(address.port) : '';
  return {
    url: through.href,
    loseNextWriteAnswer: () => {
      armed = true;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
