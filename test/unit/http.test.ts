import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CrossfadeError } from '../../src/core/errors.ts';
import { type HttpOptions, json, serveHttp } from '../../src/runtime/http.ts';
import { eventually } from '../support/cli.ts';
import { askHttp } from '../support/scrape.ts';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

async function serve(routes: HttpOptions['routes'], more: Partial<HttpOptions> = {}) {
  const server = await serveHttp({ host: '127.0.0.1', port: 0, routes, logger: silent, ...more });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}
/** Everything that comes back on a raw connection until the server ends it. */
function raw(port: number, text: string): { socket: Socket; ended: Promise<string>; so: () => string } {
  const socket = connect({ host: '127.0.0.1', port });
  let heard = '';
  socket.setEncoding('utf8').on('data', (data: string) => (heard += data));
  socket.on('error', () => {});
  socket.write(text);
  onTestFinished(() => void socket.destroy());
  return { socket, ended: new Promise((resolve) => socket.on('close', () => resolve(heard))), so: () => heard };
}
const well = { '/livez': () => json(200, { ok: true }) };

describe('the door for monitors', () => {
  test('answers its paths, with or without a query, and names them where one is unknown', async () => {
    const { port } = await serve(well);
    expect(await askHttp(port, '/livez')).toEqual({ status: 200, body: '{"ok":true}\n' });
    expect((await askHttp(port, '/livez?verbose')).status).toBe(200);
    expect(await askHttp(port, '/')).toEqual({ status: 404, body: '{"error":"unknown path","paths":["/livez"]}\n' });
    expect((await askHttp(port, '/__proto__')).status).toBe(404);
    expect(await askHttp(port, '/livez', 'HEAD')).toEqual({ status: 200, body: '' });
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'])('%s is not taken', async (method) => {
    const { port } = await serve(well);
    expect((await askHttp(port, '/livez', method)).status).toBe(405);
  });

  test('an answer that fails says nothing of why', async () => {
    const { port } = await serve({
      '/status': () => Promise.reject(new Error('mysql://u:hunter2@h')),
      '/metrics': () => {
        throw new Error('hunter2');
      },
    });
    expect(await askHttp(port, '/status')).toEqual({ status: 500, body: '{"error":"internal"}\n' });
    expect(await askHttp(port, '/metrics')).toEqual({ status: 500, body: '{"error":"internal"}\n' });
  });

  test('however many ask at once, the answer is made once', async () => {
    let made = 0;
    let give = () => {};
    const { port } = await serve({
      '/status': async () => {
        made += 1;
        await new Promise<void>((resolve) => (give = resolve));
        return json(200, { made });
      },
    });
    const asked = Array.from({ length: 20 }, () => askHttp(port, '/status'));
    await eventually('it is asked', () => (made > 0 ? true : undefined));
    // All of them have come by the time that one more, behind them, is answered.
    expect((await askHttp(port, '/other')).status).toBe(404);
    give();
    expect((await Promise.all(asked)).map(({ body }) => body)).toEqual(Array.from({ length: 20 }, () => '{"made":1}\n'));
  });

  test('a client that never finishes its request is sent away', async () => {
    const { port } = await serve(well, { patienceMs: 300 });
    const slow = raw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n');
    const body = raw(port, 'POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx');
    expect(await slow.ended).toContain('408');
    expect(await body.ended).toContain('405');
  });

  test('a client that does not read its answers is sent away', async () => {
    const routes = { ...well, '/metrics': () => json(200, 'x'.repeat(20_000_000)) };
    const { port } = await serve(routes, { patienceMs: 200, connectionsMax: 1 });
    const deaf = raw(port, 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    deaf.socket.pause();
    await eventually('its place is free', () =>
      askHttp(port, '/livez').then(
        ({ status }) => status === 200 || undefined,
        () => undefined,
      ),
    );
    expect(deaf.so().length).toBeLessThan(20_000_000);
  });

  test('huge headers are refused, and too many clients at once', async () => {
    const { port } = await serve(well, { connectionsMax: 5 });
    expect(await raw(port, `GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`).ended).toContain('431');
    const holders = Array.from({ length: 5 }, () => raw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n'));
    await eventually('all hold a connection', () => holders.every(({ socket }) => socket.readyState === 'open') || undefined);
    expect(await raw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n').ended).toBe('');
    holders[0]?.socket.destroy();
    await eventually('there is room again', () =>
      askHttp(port, '/livez').then(
        ({ status }) => status === 200 || undefined,
        () => undefined,
      ),
    );
  });

  test('a port that is taken is said, with the way out', async () => {
    const { port } = await serve(well);
    const refused = await serveHttp({ host: '127.0.0.1', port, routes: well, logger: silent }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(refused).toBeInstanceOf(CrossfadeError);
    expect(refused).toMatchObject({ code: 'HTTP_LISTEN', fault: 'fatal' });
    expect((refused as CrossfadeError).message).toContain(`127.0.0.1:${port}`);
  });
});
