/** A Redis of our own: killed, refilled with old data, out of memory, a replica. The end state must equal the oracle. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';

import { redisSchema } from '../../connectors/redis/config.ts';
import { connectRedis, isUsable, loadScript, runScript } from '../../connectors/redis/connection.ts';
import type { Change, Row } from '../../src/core/change.ts';
import { asCrossfadeError } from '../../src/core/errors.ts';
import type { Sink, SinkBatch } from '../../src/core/sink-port.ts';
import type { Server } from '../../stack/server.ts';
import { privateStack } from '../support/servers.ts';
import { batchOf, fieldsOf, hashes, openSink, progressAt, quiet, tableOf } from './redis-harness.ts';

const stock = tableOf({ id: 'integer', sku: 'string', note: 'string' });
const p = 't#0';
const seconds = 1000;

/** A small generator with a seed, so that a failing history can be had again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A history of one table, and the rows that it leaves: inserts, updates, deletes, and updates that move the key. */
function historyOf(length: number, seed: number): { changes: Change[]; oracle: Map<string, Row> } {
  const random = randomOf(seed);
  const oracle = new Map<string, Row>();
  const taken = new Map<number, Row>();
  const changes: Change[] = [];
  while (changes.length < length) {
    const id = random(400);
    const before = taken.get(id);
    const after: Row = { id, sku: `s${id}:${random(3)}`, note: random(3) === 0 ? null : `note ${changes.length}` };
    if (!before) changes.push({ op: 'insert', after });
    else if (random(4) === 0) changes.push({ op: 'delete', before });
    else changes.push({ op: 'update', before, after });
    if (changes.at(-1)?.op === 'delete') taken.delete(id);
    else taken.set(id, after);
  }
  for (const row of taken.values()) oracle.set(`stock:${encodeURIComponent(row['sku'] as string)}`, row);
  return { changes, oracle };
}

/** What the runtime's loop does: claim, go on from what Redis says, begin anew after every error that may be retried. */
async function applyAll(
  open: () => Promise<Sink>,
  changes: readonly Change[],
  random: (below: number) => number,
  applied: (offset: number) => void,
): Promise<number> {
  let retries = 0;
  for (;;) {
    const sink = await open();
    try {
      let offset = (await sink.claim([p])).get(p)?.nextOffset ?? 0;
      while (offset < changes.length) {
        const batch: SinkBatch = batchOf(p, stock, offset, changes.slice(offset, offset + 1 + random(400)));
        await sink.write(batch);
        offset = batch.progress.nextOffset;
        applied(offset);
      }
      return retries;
    } catch (error) {
      if (asCrossfadeError(error).fault !== 'retry') throw error;
      retries += 1;
      await sleep(20);
    } finally {
      await sink[Symbol.asyncDispose]();
    }
  }
}

const cleanups: (() => PromiseLike<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function ownRedis(...extraArgs: string[]): Promise<Server> {
  const stack = await privateStack({ servers: ['redis'], extraArgs: { redis: extraArgs } });
  cleanups.push(() => stack[Symbol.asyncDispose]());
  return stack.servers.redis;
}
async function clientOf(server: Server): Promise<Redis> {
  const client = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined);
  await client.connect();
  cleanups.push(async () => client.disconnect());
  return client;
}
const expected = (oracle: ReadonlyMap<string, Row>) => Object.fromEntries([...oracle].map(([key, row]) => [key, fieldsOf(row)]));

describe('a Redis that dies', () => {
  test(
    'G4: kill -9 in the middle of writes, ten times: after each, claim and go on; the end equals the oracle',
    async () => {
      const seed = Date.now() % 2 ** 31;
      process.stdout.write(`redis crash: seed ${seed}\n`);
      const server = await ownRedis();
      const random = randomOf(seed + 1);
      const { changes, oracle } = historyOf(60_000, seed);
      let kills = 0;
      let killing: Promise<void> | undefined;
      const kill = async () => {
        await sleep(random(10));
        await server.kill('SIGKILL');
        await server.start();
        killing = undefined;
      };
      // Each kill is armed by the progress, not by the clock: so all of them meet a sink at work.
      const retries = await applyAll(
        () => openSink(server.url, 'crash', 'stock:{sku}', stock),
        changes,
        randomOf(seed + 2),
        (offset) => {
          if (killing || kills >= 10 || offset < kills * 4000) return;
          kills += 1;
          killing = kill();
        },
      );
      await killing;
      expect(kills).toBe(10);
      expect(retries).toBeGreaterThan(0);
      const client = await clientOf(server);
      expect(await hashes(client, 'stock:')).toEqual(expected(oracle));
      const sink = await openSink(server.url, 'crash', 'stock:{sku}', stock);
      expect((await sink.progress()).get(p)).toEqual(progressAt(changes.length));
      await sink[Symbol.asyncDispose]();
    },
    120 * seconds,
  );

  test('G4: one that comes back with older data refuses the next batch, and the replay from there ends at the oracle', async () => {
    // Without the append-only file it comes back with its last snapshot: what a replica with lost writes looks like.
    const server = await ownRedis('--appendonly', 'no', '--save', '');
    const { changes, oracle } = historyOf(9000, 7);
    const open = () => openSink(server.url, 'rewound', 'stock:{sku}', stock);
    const sink = await open();
    cleanups.push(() => sink[Symbol.asyncDispose]());
    await sink.claim([p]);
    await sink.write(batchOf(p, stock, 0, changes.slice(0, 3000)));
    const client = await clientOf(server);
    await client.save();
    await sink.write(batchOf(p, stock, 3000, changes.slice(3000, 6000)));
    await server.kill('SIGKILL');
    await server.start();
    const next = batchOf(p, stock, 6000, changes.slice(6000));
    await expect(sink.write(next)).rejects.toEqual(expect.objectContaining({ code: 'TARGET_FENCED', fault: 'retry' }));
    expect((await sink.claim([p])).get(p)).toEqual(progressAt(3000));
    await sink.write(batchOf(p, stock, 3000, changes.slice(3000)));
    expect(await hashes(await clientOf(server), 'stock:')).toEqual(expected(oracle));
  });

  test('a write under way when Redis dies ends soon, with an error that may be retried', async () => {
    const server = await ownRedis();
    const sink = await openSink(server.url, 'inflight', 'stock:{id}', stock);
    cleanups.push(() => sink[Symbol.asyncDispose]());
    await sink.claim([p]);
    // Frozen, so that the write is certainly under way.
    await server.kill('SIGSTOP');
    const writing = sink.write(batchOf(p, stock, 0, [{ op: 'insert', after: { id: 1, sku: 'a', note: null } }]));
    const ended = expect.objectContaining({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
    const killing = sleep(50).then(() => server.kill('SIGKILL'));
    await expect(writing).rejects.toEqual(ended);
    await killing;
    await expect(sink.claim([p])).rejects.toEqual(expect.objectContaining({ code: 'TARGET_UNREACHABLE', fault: 'retry' }));
    await server.start();
    expect((await sink.claim([p])).size).toBe(0);
  });
});

test('one that does not answer is given up in time, and so is the connection', async () => {
  const server = await ownRedis();
  const redis = await connectRedis(redisSchema.parse(server.url), quiet, { answerWithinMs: 300 });
  cleanups.push(async () => redis.disconnect());
  await server.kill('SIGSTOP');
  try {
    const claiming = runScript(redis, loadScript('claim'), ['partitions', 'pipelines', 'progress'], ['shop', p], 'claiming');
    await expect(claiming).rejects.toEqual(expect.objectContaining({ code: 'TARGET_UNREACHABLE', fault: 'retry' }));
    expect(isUsable(redis)).toBe(false);
  } finally {
    await server.kill('SIGCONT');
  }
});

describe('a Redis that refuses', () => {
  const one = batchOf(p, stock, 0, [{ op: 'insert', after: { id: 1, sku: 'a', note: null } }]);

  test('out of memory is retried, and nothing of the batch is in', async () => {
    const server = await ownRedis();
    const client = await clientOf(server);
    const sink = await openSink(server.url, 'oom', 'stock:{id}', stock);
    cleanups.push(() => sink[Symbol.asyncDispose]());
    await sink.claim([p]);
    await client.config('SET', 'maxmemory', '1');
    await expect(sink.write(one)).rejects.toEqual(
      expect.objectContaining({ code: 'TARGET_FULL', fault: 'retry', remedy: expect.stringContaining('maxmemory') as string }),
    );
    await client.config('SET', 'maxmemory', '0');
    expect(await client.keys('stock:*')).toEqual([]);
    expect((await sink.claim([p])).size).toBe(0);
    expect(await sink.write(one)).toBe('committed');
  });

  test('one that has become a replica is retried by the sink and refused by the check', async () => {
    const server = await ownRedis();
    const client = await clientOf(server);
    const sink = await openSink(server.url, 'replica', 'stock:{id}', stock);
    cleanups.push(() => sink[Symbol.asyncDispose]());
    await sink.claim([p]);
    await client.replicaof('127.0.0.1', 1);
    await expect(sink.write(one)).rejects.toEqual(expect.objectContaining({ code: 'TARGET_UNREACHABLE', fault: 'retry' }));
    expect(await sink.check([stock])).toEqual([
      expect.objectContaining({ level: 'error', message: expect.stringContaining('is a replica') as string }),
    ]);
    await client.replicaof('NO', 'ONE');
    await sink.claim([p]);
    expect(await sink.write(one)).toBe('committed');
    expect(await sink.check([stock])).toEqual([]);
  });
});
