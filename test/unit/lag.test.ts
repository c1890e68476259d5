import { describe, expect, it } from 'vitest';
import type { LogState } from '../../src/core/log-state.ts';
import { lagOf } from '../../src/runtime/lag.ts';

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

describe('G11: what a lag may claim', () => {
  const us = (ms: number) => ms * 1000;
  it('behind, and nobody knows what comes next: unknown, and never the near zero of the complete record', () => {
    expect(ask(log(nowMs - 400, 10), 7)).toEqual({ seconds: undefined, changes: 3 });
  });
  it('behind, and nobody knows what comes next any more: what was known before, aged by the clock', () => {
    const question = { partition: 'p', log: log(nowMs - 400, 10), nextOffset: 7, nextCommittedAtUs: undefined, knownUs: us(nowMs - 8000) };
    expect(lagOf({ ...question, nowMs }).seconds).toBe(8);
    expect(lagOf({ ...question, nowMs: nowMs + 60_000 }).seconds).toBe(68);
  });
  it('what lies behind the complete record is younger than it: it adds changes, no seconds', () => {
    const state = log(nowMs - 400, 10);
    const grown = { ...state, partitions: new Map([['p', { logId: 'L', startOffset: 0, endOffset: 13 }]]) };
    expect(ask(grown, 10, nowMs - 100)).toEqual({ seconds: 0.4, changes: 3 });
  });
  const apart = (throughMs: number, writtenMs: number, clockOffsetUs?: number): LogState => {
    const state = log(throughMs, 10);
    const complete = { position: 'P', throughUs: us(throughMs), writtenAtMs: writtenMs, term: 1, ends: { p: 10 } };
    return { ...state, complete: clockOffsetUs === undefined ? complete : { ...complete, clockOffsetUs } };
  };
  it('a source whose clock is ahead or behind by what capture measured changes nothing', () => {
    for (const offsetMs of [-90_000, -1000, 0, 1000, 90_000])
      expect(ask(apart(nowMs - 7000 + offsetMs, nowMs - 6900, us(offsetMs)), 10).seconds).toBe(7);
  });
  it('our clock was set back behind what capture wrote, or capture’s is ahead of ours: what is missing is as old as it was then', () => {
    const state = apart(nowMs + 3_600_000, nowMs + 3_600_000, 0);
    expect(ask(state, 5, nowMs + 3_600_000 - 40_000).seconds).toBe(40);
  });
  it('a source that vouches for the future is ahead by that much at least, measured or not', () => {
    expect(ask(apart(nowMs + 30_000, nowMs - 9000), 10).seconds).toBe(9);
    expect(ask(apart(nowMs + 30_000, nowMs - 9000, us(5000)), 10).seconds).toBe(9);
  });
});
