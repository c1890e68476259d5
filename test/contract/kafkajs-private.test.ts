/** What connectors/kafka/kafkajs-private.ts reaches into. Any other release or shape of kafkajs fails here before it fails in a pipeline. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const reach = createRequire(import.meta.url);
const folder = dirname(reach.resolve('kafkajs/package.json'));
const packageFile = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;

test('the release is the one whose inside is known, and its public name leads nowhere else', () => {
  expect(packageFile['version']).toBe('2.2.4');
  expect(packageFile['exports']).toBeUndefined();
  const ours = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { dependencies: Record<string, string> };
  expect(ours.dependencies['kafkajs']).toBe('2.2.4');
});

test('every file between us and the socket is byte for byte the one that was read and measured', () => {
  const hash = createHash('sha256');
  for (const part of ['src/network', 'src/broker', 'src/protocol/request.js', 'src/protocol/encoder.js', 'src/protocol/decoder.js']) {
    for (const path of filesIn(join(folder, part))) hash.update(path.slice(folder.length)).update(readFileSync(path));
  }
  expect(hash.digest('hex')).toBe('c46e4363daf600a0e18022e8216fd66cdc661275234c54c31ab98ae7db07e0df');
});

test('the parts that are taken have the members that are used', () => {
  const Broker = reach('kafkajs/src/broker') as { prototype: object };
  const Connection = reach('kafkajs/src/network/connection') as { prototype: object };
  const RequestQueue = reach('kafkajs/src/network/requestQueue') as { prototype: object };
  expect(Broker.prototype).toHaveProperty('connect', expect.any(Function));
  for (const name of ['nextCorrelationId', 'failIfNotConnected', 'rejectRequests', 'disconnect', 'isConnected', 'isAuthenticated'])
    expect(Connection.prototype).toHaveProperty(name, expect.any(Function));
  for (const name of ['push', 'scheduleCheckPendingRequests']) expect(RequestQueue.prototype).toHaveProperty(name, expect.any(Function));
});

test('an idle queue sets no timer', async () => {
  await import('../../connectors/kafka/kafkajs-private.ts');
  interface Queue {
    checkPendingRequests(): void;
    readonly throttleCheckTimeoutId: unknown;
    throttledUntil: number;
    destroy(): void;
  }
  const RequestQueue = reach('kafkajs/src/network/requestQueue') as new (options: object) => Queue;
  const logger = { debug() {}, warn() {} };
  const queue = new RequestQueue({
    maxInFlightRequests: null,
    requestTimeout: 1000,
    enforceRequestTimeout: false,
    clientId: '',
    broker: '',
    logger,
  });
  queue.checkPendingRequests();
  expect(queue.throttleCheckTimeoutId).toBeNull();
  queue.throttledUntil = Date.now() + 1000;
  queue.checkPendingRequests();
  expect(queue.throttleCheckTimeoutId).not.toBeNull();
  queue.destroy();
});

function filesIn(path: string): string[] {
  if (path.endsWith('.js')) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .sort()
    .map((name) => join(path, name));
}
