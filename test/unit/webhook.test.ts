/** The request itself, to a server of our own. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { lagSchema } from '../../src/config-health.ts';
import { AlertQueue } from '../../src/runtime/alert-queue.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let requests: { readonly authorization: string | undefined; readonly url: string | undefined; readonly body: string }[] = [];
const server = createServer((request: IncomingMessage, response) => {
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => {
    requests.push({ authorization: request.headers.authorization, url: request.url, body });
    response.end('ok');
  });
});
let port = 0;
beforeEach(async () => {
  requests = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
});
afterEach(() => new Promise<void>((resolve) => void server.close(() => resolve())));

describe('G11: the webhook', () => {
  test.each([
    ['user:hunter2@', 'user:hunter2'],
    ['us%40er:h%C3%BCnter%3A2@', 'us@er:hünter:2'],
    ['token@', 'token:'],
    ['', undefined],
  ])('%s in the address is a header', async (credentials, expected) => {
    const lines: unknown[] = [];
    const said = (...words: unknown[]) => void lines.push(words);
    const queue = new AlertQueue({
      url: `http://${credentials}127.0.0.1:${port}/hook?a=b`,
      logger: { debug: said, info: said, warn: said, error: said },
    });
    queue.push({ event: 'lag_breached' });
    const stop = new AbortController();
    const running = queue.run(stop.signal);
    await queue.settled(5000);
    stop.abort();
    await running;
    const authorization = expected === undefined ? undefined : `Basic ${Buffer.from(expected).toString('base64')}`;
    expect(requests).toEqual([{ authorization, url: '/hook?a=b', body: '{"event":"lag_breached"}' }]);
    expect([queue.sent, lines]).toEqual([1, []]);
  });

  test('what could not even be sent is not said to be unanswered, and no word of the address is said', async () => {
    const errors: unknown[] = [];
    const clock = new VirtualClock();
    const said = ({ err }: { readonly err?: unknown }) => void errors.push(err);
    const logger = { debug: () => undefined, info: () => undefined, warn: said, error: said };
    const post = async () => {
      throw new TypeError('Request cannot be constructed from https://user:hunter2@hooks.internal');
    };
    const queue = new AlertQueue({ url: 'https://user:hunter2@hooks.internal', logger, post, now: clock.now, sleep: clock.sleep });
    queue.push({ event: 'lag_breached' });
    const stop = new AbortController();
    const running = queue.run(stop.signal);
    await clock.runUntil(() => errors.length > 0, 60_000);
    stop.abort();
    await running;
    const [error] = errors as [Error];
    expect(error.message).toContain('it could not be sent');
    expect(error.cause).toBeUndefined();
    expect(JSON.stringify([error.message, error.stack])).not.toMatch(/hunter2|hooks/);
  });
});

describe('config', () => {
  const takes = (alert: string) => lagSchema.safeParse({ objective: '10s', alert }).success;

  test('a port that fetch sends nothing to is refused, and no other', { timeout: 60_000 }, async () => {
    // A dispatcher that stands for the network: who gets so far would be sent.
    const dispatcher = { dispatch: () => expect.fail('sent') };
    const isSent = async (url: string) => {
      const thrown = await fetch(url, { dispatcher } as unknown as RequestInit).catch((error: unknown) => error as Error);
      return !String((thrown as Error).cause).includes('bad port');
    };
    for (let at = 1; at < 1100; at += 1)
      expect(takes(`http://hooks.internal:${at}/x`), String(at)).toBe(await isSent(`http://127.0.0.1:${at}/x`));
    for (const at of [1719, 2049, 4190, 5060, 6000, 6566, 6665, 6669, 6697, 8080, 10_080, 65_535])
      expect(takes(`http://hooks.internal:${at}/x`), String(at)).toBe(await isSent(`http://127.0.0.1:${at}/x`));
  });

  test('a password that is no text is refused', () => {
    expect(takes('https://user:100%@hooks.internal')).toBe(false);
    expect(takes('https://user:100%25@hooks.internal')).toBe(true);
  });
});
