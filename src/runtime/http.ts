/** A small door for monitors: GET only, a handful of paths, and nothing that a slow or hostile client could hold on to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CrossfadeError } from '../core/errors.ts';
import type { Logger } from '../core/ports.ts';

export interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/plain; version=0.0.4; charset=utf-8';
  readonly body: string;
}
/** By path: `/metrics`. One that throws answers 500 without a word of why. */
export type Routes = Readonly<Record<string, () => Answer | Promise<Answer>>>;

export interface HttpOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly routes: Routes;
  readonly logger: Logger;
  readonly connectionsMax?: number;
  /** For a request to come in whole, and for a socket on which nothing moves. */
  readonly patienceMs?: number;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/** Throws HTTP_LISTEN where the address cannot be had. */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, routes, logger, connectionsMax = 64, patienceMs = 5000 } = options;
  const limits = {
    headersTimeout: patienceMs,
    requestTimeout: patienceMs,
    keepAliveTimeout: patienceMs,
    connectionsCheckingInterval: Math.min(1000, patienceMs),
    maxHeaderSize: 8192,
  };
  const answering = shared(routes);
  const server = createServer(limits, (request, response) => {
    respond(request, response, answering).catch((thrown: unknown) => {
      logger.debug({ err: thrown }, 'an HTTP answer could not be given');
      response.destroy();
    });
  });
  server.maxConnections = connectionsMax;
  server.maxRequestsPerSocket = 1000;
  // Longer than the slowest answer: /status waits 5 s for a server that hangs, twice at most.
  server.setTimeout(patienceMs * 4, (socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(host, port, error)));
    server.listen({ host, port }, () => resolve());
  });
  server.on('error', (error) => logger.warn({ err: error }, 'HTTP server'));
  // Behind a monitor nothing may keep the process alive.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** However many ask at once, an answer is made once. */
function shared(routes: Routes): ReadonlyMap<string, () => Promise<Answer>> {
  return new Map(
    Object.entries(routes).map(([path, make]) => {
      let underway: Promise<Answer> | undefined;
      const ask = () =>
        (underway ??= Promise.resolve()
          .then(make)
          .finally(() => (underway = undefined)));
      return [path, ask];
    }),
  );
}

async function respond(request: IncomingMessage, response: ServerResponse, routes: ReadonlyMap<string, () => Promise<Answer>>) {
  // A body is nobody's business here; it must not fill memory, and the socket is not used again.
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
    response.shouldKeepAlive = false;
    request.resume();
  }
  const { status, type, body, ...more } = await answerTo(request, routes);
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...('allow' in more ? { allow: more.allow } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answerTo(
  { method, url = '/' }: IncomingMessage,
  routes: ReadonlyMap<string, () => Promise<Answer>>,
): Promise<Answer & { readonly allow?: string }> {
  if (method !== 'GET' && method !== 'HEAD') return { ...json(405, { error: 'GET only' }), allow: 'GET, HEAD' };
  const route = routes.get(url.split('?', 1)[0] ?? '');
  if (!route) return json(404, { error: 'unknown path', paths: [...routes.keys()] });
  try {
    return await route();
  } catch {
    return json(500, { error: 'internal' });
  }
}

export const json = (status: number, value: unknown): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(value)}\n`,
});

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): CrossfadeError {
  const why =
    error.code === 'EADDRINUSE' ? 'another process has it' : error.code === 'EACCES' ? 'this user may not' : 'it is none of this machine';
  return new CrossfadeError({
    code: 'HTTP_LISTEN',
    fault: 'fatal',
    message: `cannot listen on ${host}:${port} for /metrics and health: ${why}`,
    remedy: 'Name another address with `http: { listen: HOST:PORT }` or `crossfade run --http HOST:PORT`, or go without with `off`.',
    cause: error,
  });
}
