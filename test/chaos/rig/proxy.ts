/** The address that clients know, in front of a server that may be away, unreachable or somewhere else. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Proxy extends AsyncDisposable {
  /** `127.0.0.1:port`, the same for ever. */
  readonly address: string;
  readonly port: number;
  /** From now on new connections go there; those that are open are cut, as a failover does it. */
  pointAt(port: number): void;
  /** Nothing passes, and nobody is told: what a dead network looks like. Connections that are open stall too. */
  freeze(): void;
  /** What was held passes now. */
  thaw(): void;
  /** Cuts all connections. */
  cut(): void;
}

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
}

export async function startProxy(port = 0): Promise<Proxy> {
  const pairs = new Set<Pair>();
  /** Connections that came while nothing passes. */
  const held = new Set<Socket>();
  let target: number | undefined;
  let frozen = false;
  const join = (client: Socket) => {
    if (target === undefined) client.destroy();
    else joined(client, connect(target, '127.0.0.1'), pairs);
  };
  const server = createServer((client) => {
    client.setNoDelay();
    client.on('error', () => client.destroy());
    if (frozen) {
      held.add(client);
      client.on('close', () => held.delete(client));
    } else join(client);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as { port: number }).port;
  const cut = () => {
    for (const { client, upstream } of pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  };
  return {
    address: `127.0.0.1:${own}`,
    port: own,
    pointAt: (to) => {
      target = to;
      cut();
    },
    freeze: () => {
      frozen = true;
      for (const { client, upstream } of pairs) {
        client.unpipe(upstream).pause();
        upstream.unpipe(client).pause();
      }
    },
    thaw: () => {
      frozen = false;
      for (const { client, upstream } of pairs) {
        client.pipe(upstream);
        upstream.pipe(client);
      }
      for (const client of held) join(client);
      held.clear();
    },
    cut,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const client of held) client.destroy();
      cut();
      await once(server, 'close');
    },
  };
}

/** Carries both ways until either end closes. */
function joined(client: Socket, upstream: Socket, pairs: Set<Pair>): void {
  const pair = { client, upstream };
  pairs.add(pair);
  const end = () => {
    pairs.delete(pair);
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
  client.pipe(upstream);
  upstream.pipe(client);
}
