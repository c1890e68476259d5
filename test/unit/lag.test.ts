import { describe, expect, it } from 'vitest';
import type { LogState } from '../../src/core/ports.ts';
import { lagOf } from '../../src/runtime/lag.ts';

const nowMs = 1_000_000;
const log = (throughMs: number, endOffset: number): LogState => ({
  logId: 'L',
  complete: { position: 'P', throughUs: throughMs * 1000, writtenAtMs: throughMs, term: 1, ends: { p: endOffset } },
  partitions: new Map([['p', { startOffset: 0, endOffset }]]),
  groups: new Map(),
});
const ask = (state: LogState, nextOffset: number, nextCommittedMs?: number) =>
  lagOf({
    partition: 'p',
    log: state,
    nextOffset,
    nextCommittedAtUs: nextCommittedMs === undefined ? undefined : nextCommittedMs * 1000,
    nowMs,
  });

describe('G11: honest lag', () => {
  it('is near zero on an idle source, not unknown', () => expect(ask(log(nowMs - 400, 10), 10)).toEqual({ seconds: 0.4, changes: 0 }));
  it('is the age of the oldest change that is not visible', () => {
    expect(ask(log(nowMs - 400, 10), 7, nowMs - 9000)).toEqual({ seconds: 9, changes: 3 });
  });
  it('grows when capture is dead, though nothing is left to apply', () => expect(ask(log(nowMs - 60_000, 10), 10).seconds).toBe(60));
  it('is never negative when clocks disagree', () => expect(ask(log(nowMs + 5000, 10), 10).seconds).toBe(0));
  it('says nothing of a pipeline that never started', () => {
    expect(ask({ logId: '', partitions: new Map(), groups: new Map() }, 0).seconds).toBeUndefined();
  });
  it('counts from the start of a log that never completed', () => {
    const state: LogState = { logId: 'L', start: { position: 'P', writtenAtMs: nowMs - 3000 }, partitions: new Map(), groups: new Map() };
    expect(ask(state, 0)).toEqual({ seconds: 3, changes: 0 });
  });
});
