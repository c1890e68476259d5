/** A stop is heard while no broker answers: nothing listens at the port that these logs are given. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openKafkaLog } from '../../connectors/kafka/log.ts';
import { kafkaSchema } from '../../connectors/kafka/config.ts';
import { codec } from '../../src/codec.ts';
import { freePort } from '../../stack/ports.ts';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const streams = [{ topic: 'shop.people', partitions: 1 }];
/** Ample: by itself it tries for 15 to 30 s. */
const soonMs = 5000;

async function openAway(stop: AbortSignal) {
  const settings = kafkaSchema.parse(`127.0.0.1:${await freePort()}`);
  return openKafkaLog(settings, { pipeline: 'away', streams, codec, logger: quiet, stop });
}
const drained = async (deliveries: AsyncIterable<unknown>) => {
  for await (const _ of deliveries);
};

test.each(['lead', 'read', 'readFrom', 'state', 'at', 'trouble'] as const)('G10: %s ends soon after the stop', async (what) => {
  const stop = new AbortController();
  await using log = await openAway(stop.signal);
  const asked = {
    lead: () => log.lead(stop.signal),
    read: () => drained(log.read('orders', async () => new Map(), stop.signal)),
    readFrom: () => drained(log.readFrom(new Map([['shop.people#0', 0]]), stop.signal)),
    state: () => log.state(),
    at: () => log.at('shop.people#0', 0),
    trouble: () => log.trouble('apply orders', undefined),
  };
  const ended = asked[what]().then(
    () => 'ended',
    () => 'ended',
  );
  // Still trying, as it should.
  expect(await Promise.race([ended, sleep(1500, 'tries')])).toBe('tries');
  const stoppedMs = performance.now();
  stop.abort();
  await ended;
  expect(performance.now() - stoppedMs).toBeLessThan(soonMs);
});
