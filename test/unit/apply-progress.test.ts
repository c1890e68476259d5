import { expect, test } from 'vitest';

import type { Log, Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { SinkBatch } from '../../src/core/sink-port.ts';
import { ApplyLag } from '../../src/runtime/apply-lag.ts';
import { ApplyProgress } from '../../src/runtime/apply-progress.ts';

const partition: PartitionId = 'p.shop.orders#0';
const none = () => undefined;
const meters = { applied: none, lag: none, stands: none, kept: none };

/** A log that takes each word as slowly as the test wants, and the last one counts. */
class SlowLog {
  readonly words: { readonly offsets: Offsets; readonly take: () => void; readonly refuse: (error: Error) => void }[] = [];
  stands: number | undefined;

  applied(_: string, offsets: Offsets): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const take = () => {
      this.stands = offsets.get(partition);
      resolve();
    };
    this.words.push({ offsets, take, refuse: reject });
    return promise;
  }
}

function progressOn(log: SlowLog): ApplyProgress {
  const run = { signal: new AbortController().signal, ready: none, progressed: none };
  const sleep = () => new Promise<void>(() => undefined);
  return new ApplyProgress({ service: 's', meters, sleep }, log as unknown as Log, new ApplyLag(meters), run);
}

function commit(progress: ApplyProgress, nextOffset: number): void {
  const at = {
    logId: 'L',
    nextOffset,
    lastOffset: nextOffset - 1,
    term: 1,
    version: 'v',
    transactionId: 't',
    committedAtUs: 1,
    mappingHash: 'h',
  };
  const batch: SinkBatch = { partition, entries: [], progress: at, open: false };
  progress.answered(batch, 'committed', 1, 1, () => []);
}

/** Long enough for everything that does not wait for the log. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('words reach the log one after the other: an older one that is slow cannot come last and set the service back', async () => {
  const log = new SlowLog();
  const progress = progressOn(log);
  commit(progress, 5);
  const first = progress.report();
  await turn();
  commit(progress, 9);
  const second = progress.report();
  await turn();
  // The newer word would overtake the older one, which the log has not taken yet.
  expect(log.words.map(({ offsets }) => offsets.get(partition))).toEqual([5]);
  for (const word of log.words.toReversed()) word.take();
  await first;
  await turn();
  for (const word of log.words.slice(1)) word.take();
  await second;
  expect(log.stands).toBe(9);
});

test('a word that the log refused is told with the next one, unless that knows better', async () => {
  const log = new SlowLog();
  const progress = progressOn(log);
  commit(progress, 5);
  const refused = progress.report();
  await turn();
  log.words[0]?.refuse(new Error('away'));
  await expect(refused).rejects.toThrow('away');
  const again = progress.report();
  await turn();
  expect(log.words.at(-1)?.offsets.get(partition)).toBe(5);
  commit(progress, 9);
  log.words[1]?.refuse(new Error('away'));
  await expect(again).rejects.toThrow('away');
  const last = progress.report();
  await turn();
  log.words[2]?.take();
  await last;
  expect(log.words[2]?.offsets.get(partition)).toBe(9);
});
