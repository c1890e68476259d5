/** Stands between a sink and Postgres, to lose the answer of a COMMIT as a cut network does. */
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';

export interface PostgresProxy extends AsyncDisposable {
  /** The server's URL, through the proxy. */
  readonly url: string;
  /** The next transaction that commits does so on the server; its client only sees the connection end. */
  loseNextCommitAnswer(): void;
  /** The next COMMIT seems to be answered with another tag, as that of an aborted transaction is. */
  spoilNextCommitAnswer(): void;
  /** Every connection ends now. */
  cut(): void;
}

export async function startPostgresProxy(url: string): Promise<PostgresProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let armed = false;
  let spoiling = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let losing = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (chunk: Buffer) => {
      if (armed && chunk.includes('crossfade_commit')) {
        armed = false;
        losing = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      const at = spoiling ? chunk.indexOf('COMMIT\0') : -1;
      if (at >= 0) {
        chunk.write('ROLLBK', at);
        spoiling = false;
      }
      // A batch that is refused is committed only at its second try.
      if (losing && chunk.includes('COMMIT\0')) client.destroy();
      else client.write(chunk);
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
    loseNextCommitAnswer: () => {
      armed = true;
    },
    spoilNextCommitAnswer: () => {
      spoiling = true;
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
