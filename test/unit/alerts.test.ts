import { describe, expect, test } from 'vitest';
import { type Alert, AlertQueue, type AlertQueueParts } from '../../src/runtime/alert-queue.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const url = 'https://hooks.internal/secret-path?token=hunter2';

function logger() {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

/** A webhook of which a test says what it does. */
async function queueing(answer: (attempt: number, body: string) => number | 'hangs' | 'refuses', work: (rig: Queueing) => Promise<void>) {
  const clock = new VirtualClock();
  const { lines, logger: sink } = logger();
  const got: string[] = [];
  let attempts = 0;
  const post: NonNullable<AlertQueueParts['post']> = async (_, body) => {
    const now = answer(++attempts, body);
    if (now === 'refuses') throw Object.assign(new Error(`connect ${url}`), { code: 'ECONNREFUSED' });
    if (now === 'hangs') {
      await clock.sleep(10_000);
      throw new DOMException('late', 'TimeoutError');
    }
    if (now === 204) got.push((JSON.parse(body) as Alert).event);
    return now;
  };
  const queue = new AlertQueue({ url, logger: sink, post, now: clock.now, sleep: clock.sleep });
  const stop = new AbortController();
  const run = queue.run(stop.signal);
  await work({ queue, clock, got, lines, attempts: () => attempts });
  stop.abort();
  await run;
  expect(JSON.stringify(lines)).not.toMatch(/hunter2|secret-path/);
}
interface Queueing {
  readonly queue: AlertQueue;
  readonly clock: VirtualClock;
  readonly got: string[];
  readonly lines: { level: string; fields: object; message: string }[];
  readonly attempts: () => number;
}

describe('G11: an alert on its way', () => {
  test('goes out at once, each once, in order', () =>
    queueing(
      () => 204,
      async ({ queue, clock, got }) => {
        for (const event of ['a', 'b', 'c']) queue.push({ event });
        expect(await clock.runUntil(() => got.length === 3, 1000)).toBe(true);
        expect(got).toEqual(['a', 'b', 'c']);
        expect([queue.sent, queue.waiting, queue.dropped]).toEqual([3, 0, 0]);
      },
    ));
  test.each(['refuses', 'hangs', 500, 302, 429] as const)(
    'is tried again while the webhook %s, and a recovery waits behind its breach',
    (bad) =>
      queueing(
        (attempt) => (attempt < 20 ? bad : 204),
        async ({ queue, clock, got, lines }) => {
          queue.push({ event: 'lag_breached' });
          queue.push({ event: 'lag_recovered' });
          expect(await clock.runUntil(() => got.length === 2, 3_600_000)).toBe(true);
          expect(got).toEqual(['lag_breached', 'lag_recovered']);
          // Said at the 1st, 2nd, 4th … failure, not at each.
          expect(lines.filter(({ level }) => level === 'warn').length).toBeLessThanOrEqual(5);
        },
      ),
  );
  test('is given up after an hour, aloud, and what came later still goes out', () =>
    queueing(
      (_, body) => (body.includes('first') ? 500 : 204),
      async ({ queue, clock, got, lines }) => {
        queue.push({ event: 'first' });
        await clock.runUntil(() => false, 3_000_000);
        queue.push({ event: 'second' });
        expect(await clock.runUntil(() => got.length === 1, 3_600_000)).toBe(true);
        expect([got, queue.dropped]).toEqual([['second'], 1]);
        expect(lines.some(({ level, message }) => level === 'error' && message.includes('for an hour'))).toBe(true);
      },
    ));
  test('a webhook that is away for ever fills no memory', () =>
    queueing(
      () => 'refuses',
      async ({ queue }) => {
        for (let count = 0; count < 1000; count += 1) queue.push({ event: 'x' });
        expect([queue.waiting, queue.dropped]).toEqual([100, 900]);
      },
    ));
});
