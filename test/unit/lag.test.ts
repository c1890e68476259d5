import { describe, expect, it } from 'vitest';
import type { LogState } from '../../src/core/log-state.ts';
import { lagOf, lagSecondsNow } from '../../src/runtime/lag.ts';

const nowMs = 1_000_000;
const log = (throughMs: number, endOffset: number): LogState => ({
  complete: { position: 'P', throughUs: throughMs * 1000, writtenAtMs: throughMs, term: 1, ends: { p: endOffset } },
  partitions: new Map([['p', { logId: 'L', startOffset: 0, endOffset }]]),
  groups: new Map(),
  members: new Map(),
  troubles: new Map(),
  waits: new Map(),
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
    expect(
      ask({ partitions: new Map(), groups: new Map(), members: new Map(), troubles: new Map(), waits: new Map() }, 0).seconds,
    ).toBeUndefined();
  });
  it('counts from the start of a log that never completed', () => {
    const state: LogState = {
      start: { position: 'P', writtenAtMs: nowMs - 3000 },
      partitions: new Map(),
      groups: new Map(),
      members: new Map(),
      troubles: new Map(),
      waits: new Map(),
    };
    expect(ask(state, 0)).toEqual({ seconds: 3, changes: 0 });
  });
});

describe('G11: lag inside a process is computed when it is shown', () => {
  const us = (ms: number) => ms * 1000;
  it('goes on growing while nothing is delivered', () => {
    const standing = { sinceUs: us(nowMs - 5000), changes: 3 };
    expect(lagSecondsNow(standing, us(nowMs - 100), nowMs)).toBe(5);
    expect(lagSecondsNow(standing, us(nowMs - 100), nowMs + 60_000)).toBe(65);
  });
  it('caught up, is the age of what capture vouches for, and unknown where that is not to be had', () => {
    const standing = { sinceUs: us(nowMs - 3_600_000), changes: 0 };
    expect(lagSecondsNow(standing, us(nowMs - 400), nowMs)).toBeCloseTo(0.4, 6);
    expect(lagSecondsNow(standing, us(nowMs - 400), nowMs + 10_000)).toBeCloseTo(10.4, 6);
    expect(lagSecondsNow(standing, undefined, nowMs)).toBeUndefined();
  });
});
