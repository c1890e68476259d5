/** A server that is slow to answer, or never does: its port takes connections and holds them. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface HoldingProxy extends AsyncDisposable {
  /** The server's URL through the proxy. */
  readonly url: string;
}

/** `holdMs`: how long each new connection waits before it is led to the server behind `url`; Infinity: for ever. */
export async function startHoldingProxy(url: string, holdMs: number): Promise<HoldingProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    if (holdMs === Infinity) client.resume();
    else
      setTimeout(() => {
        if (client.destroyed) return;
        const upstream = connect(Number(target.port), target.hostname);
        keep(upstream);
        client.pipe(upstream).pipe(client);
        client.on('close', () => upstream.destroy());
        upstream.on('close', () => client.destroy());
      }, holdMs);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
