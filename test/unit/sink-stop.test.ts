/** A stop is heard while a target does not answer: the port takes connections, and nobody ever says a word. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { postgresSchema } from '../../connectors/postgres/config.ts';
import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import { redisSchema } from '../../connectors/redis/config.ts';
import { openRedisSink } from '../../connectors/redis/sink.ts';
import { Unanswered } from '../../src/core/unanswered.ts';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
/** Ample: by themselves they wait for 10 and 15 s. */
const soonMs = 4000;
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined).resume();
});
let at: string;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const open = {
  postgres: (stop: AbortSignal) => openPostgresSink(postgresSchema.parse(`postgres://u:p@${at}/d`), { ...options, stop }),
  redis: (stop: AbortSignal) => openRedisSink(redisSchema.parse(`redis://${at}`), { ...options, stop }),
  'redis with a password': (stop: AbortSignal) => openRedisSink(redisSchema.parse(`redis://u:p@${at}`), { ...options, stop }),
};
const options = { pipeline: 'p', service: 's', mappings: [], logger: quiet };

describe.each(Object.entries(open))('%s', (_, openIt) => {
  test('G10: whoever waits for a target that never answered hears a stop at once', async () => {
    const stop = new AbortController();
    await using sink = await openIt(stop.signal);
    const ended = sink.claim(['p.t#0']).then(
      () => 'claimed',
      (error: unknown) => error,
    );
    // Still waiting, as it should.
    expect(await Promise.race([ended, sleep(500, 'waits')])).toBe('waits');
    const stoppedMs = performance.now();
    stop.abort();
    expect(await ended).toMatchObject({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
    expect(performance.now() - stoppedMs).toBeLessThan(soonMs);
  });

  test('G10: a connection that is begun behind the stop is not waited for', async () => {
    await using sink = await openIt(AbortSignal.abort());
    const startedMs = performance.now();
    await expect(sink.claim(['p.t#0'])).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE', fault: 'retry' });
    expect(performance.now() - startedMs).toBeLessThan(soonMs);
  });
});

describe('a server that has answered', () => {
  const never = () => new Promise<void>(() => undefined);
  const stage = (stop: AbortSignal) => {
    const giveUp = vi.fn<() => void>();
    return { giveUp, waits: new Unanswered(stop, giveUp, 1000) };
  };

  test('what is in hand is given time, and is given up when nothing at all was answered in it', async () => {
    vi.useFakeTimers();
    try {
      const stop = new AbortController();
      const { giveUp, waits } = stage(stop.signal);
      await waits.during(async () => undefined);
      void waits.during(never);
      stop.abort();
      vi.advanceTimersByTime(900);
      await waits.during(async () => undefined);
      vi.advanceTimersByTime(200);
      expect(giveUp).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1000);
      expect(giveUp).toHaveBeenCalledOnce();
      waits[Symbol.dispose]();
      vi.advanceTimersByTime(5000);
      expect(giveUp).toHaveBeenCalledOnce();
    } finally {
      vi.useRealTimers();
    }
  });

  test('one at rest, and one that was disposed, is left alone', async () => {
    vi.useFakeTimers();
    try {
      const stop = new AbortController();
      const [rests, gone] = [stage(stop.signal), stage(stop.signal)];
      await rests.waits.during(async () => undefined);
      void gone.waits.during(never);
      gone.waits[Symbol.dispose]();
      stop.abort();
      vi.advanceTimersByTime(5000);
      expect([rests.giveUp, gone.giveUp].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
      rests.waits[Symbol.dispose]();
    } finally {
      vi.useRealTimers();
    }
  });
});
