import { describe, expect, test } from 'vitest';
import { partitionSample } from '../../src/commands/status-partition.ts';
import type { LogState } from '../../src/core/log-state.ts';
import type { Log, LogRecord } from '../../src/core/log-port.ts';
import type { Progress } from '../../src/core/sink-port.ts';

const nowMs = 1_000_000;
const state: LogState = {
  complete: { position: 'P', throughUs: (nowMs - 600) * 1000, writtenAtMs: nowMs, term: 1, ends: { p: 10 } },
  partitions: new Map([['p', { logId: 'L', startOffset: 2, endOffset: 10 }]]),
  groups: new Map(),
  members: new Map(),
  troubles: new Map(),
  waits: new Map(),
};
const progress: Progress = {
  logId: 'L',
  nextOffset: 10,
  lastOffset: 9,
  term: 1,
  version: 'v',
  transactionId: 't',
  committedAtUs: 1,
  mappingHash: 'm',
};

function sampled(of: Partial<Progress>, at: () => Promise<LogRecord | undefined> = async () => undefined) {
  const log = { at } as unknown as Log;
  const look = { log, state, ask: <T>(work: () => Promise<T>) => work() };
  return partitionSample({ partition: 'p', tables: [], progress: { ...progress, ...of }, nowMs, look });
}

describe('G11: a lag is a number only where the target and the log speak of the same thing', () => {
  test('caught up, it is the age of the complete record', async () => {
    expect(await sampled({})).toMatchObject({ lagSeconds: 0.6, lagChanges: 0 });
  });

  test('behind, it is the age of the oldest change that is missing', async () => {
    const next = { committedAtUs: (nowMs - 9000) * 1000 } as LogRecord;
    expect(await sampled({ nextOffset: 7 }, async () => next)).toMatchObject({ lagSeconds: 9, lagChanges: 3 });
  });

  test.each([
    ['progress of another log', { logId: 'other', nextOffset: 2 }, 'TARGET_PROGRESS_FOREIGN'],
    ['a log that lost its end', { nextOffset: 11 }, 'LOG_LOST_HISTORY'],
    ['a log that deleted what is missing', { nextOffset: 1 }, 'LOG_LOST_HISTORY'],
  ])('%s: unknown, with the reason', async (_, of, code) => {
    const found = await sampled(of);
    expect(found).not.toHaveProperty('lagSeconds');
    expect(found.doubt?.code).toBe(code);
  });

  test('a log that does not answer: unknown', async () => {
    expect(await sampled({ nextOffset: 7 }, () => Promise.reject(new Error('hangs')))).not.toHaveProperty('lagSeconds');
  });
});
