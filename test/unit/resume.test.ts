import { describe, expect, it } from 'vitest';
import type { LogState } from '../../src/core/log-state.ts';
import type { LogRecord, PartitionState, Tail } from '../../src/core/log-port.ts';
import type { Progress } from '../../src/core/sink-port.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';
import { resumeOf, TailFilter } from '../../src/runtime/resume.ts';

const version = (offset: number, ordinal = 0, epoch = 1) => versionOf(versionPrefix({ epoch, file: 1, offset }), ordinal, 2);
const last = (offset: number, version: string, transactionId: string, term = 1) => ({ offset, term, version, transactionId });
const state = (endOffset: number, more: Partial<PartitionState> = {}): PartitionState => ({
  logId: 'L',
  startOffset: 0,
  endOffset,
  ...more,
});
const at = (position: string, ends: Record<string, number>) => ({ position, throughUs: 0, writtenAtMs: 0, term: 1, ends });

describe('section 9: resume of capture', () => {
  const tail: Tail = {
    complete: at('P', { a: 10, b: 5 }),
    partitions: new Map([
      ['a', state(12, { last: last(11, version(200, 1), 'T2') })],
      ['b', state(5, { last: last(4, version(100), 'T1') })],
    ]),
  };

  it('drops what a partition already holds, up to its tail, and nothing of the others', () => {
    const filter = new TailFilter(tail);
    expect(filter.allMet).toBe(false);
    expect(filter.admits('a', version(200, 0), 'T2')).toBe(false);
    expect(filter.admits('b', version(200, 2), 'T2')).toBe(true);
    expect(filter.allMet).toBe(false);
    expect(filter.admits('a', version(200, 1), 'T2')).toBe(false);
    expect(filter.allMet).toBe(true);
    expect(filter.admits('a', version(200, 3), 'T2')).toBe(true);
  });

  it('stops when the source goes past a tail without meeting it', () => {
    expect(() => new TailFilter(tail).admits('a', version(300), 'T3')).toThrow(
      expect.objectContaining({ code: 'LOG_TAIL_NOT_MET', fault: 'fatal' }),
    );
  });

  it('stops when the source ends before a tail', () => {
    expect(() => new TailFilter(tail).atEnd()).toThrow(expect.objectContaining({ code: 'LOG_TAIL_NOT_MET' }));
  });

  it('on another server, meets the tail by transaction and row', () => {
    const filter = new TailFilter(tail);
    expect(filter.admits('a', version(900, 0, 2), 'T2')).toBe(false);
    expect(filter.admits('a', version(900, 1, 2), 'T2')).toBe(false);
    expect(filter.allMet).toBe(true);
    expect(filter.admits('a', version(950, 0, 2), 'T3')).toBe(true);
  });

  it('a marker behind the last complete record is no tail', () => {
    const marked = state(7, { last: last(4, version(100), 'T1') });
    const filter = new TailFilter({ complete: at('P', { b: 5 }), partitions: new Map([['b', marked]]) });
    expect(filter.allMet).toBe(true);
    expect(filter.admits('b', version(900), 'U')).toBe(true);
  });

  it('stops where the log ends below what its last complete record vouches for', () => {
    const lost = { complete: at('P', { b: 5 }), partitions: new Map([['b', state(4, { last: last(3, version(90), 'S') })]]) };
    expect(() => new TailFilter(lost)).toThrow(expect.objectContaining({ code: 'LOG_LOST_HISTORY', fault: 'fatal' }));
  });

  it('never appends a version that is not above the last one', () => {
    const filter = new TailFilter(tail);
    expect(filter.admits('b', version(101), 'T1')).toBe(true);
    expect(() => filter.admits('b', version(101), 'T1')).toThrow(expect.objectContaining({ code: 'LOG_TAIL_NOT_MET' }));
  });

  it('a log without a complete record drops everything that is there', () => {
    const filter = new TailFilter({ partitions: new Map([['a', state(1, { last: last(0, version(5), 'T') })]]) });
    expect(filter.admits('a', version(5), 'T')).toBe(false);
    expect(filter.admits('a', version(6), 'U')).toBe(true);
  });
});

describe('section 9: where a service goes on', () => {
  const log = (a: Partial<PartitionState> = {}, overrides: Partial<LogState> = {}): LogState => ({
    partitions: new Map([['a', state(100, { last: last(99, version(100), 'Z', 3), ...a })]]),
    groups: new Map(),
    members: new Map(),
    troubles: new Map(),
    waits: new Map(),
    ...overrides,
  });
  const progress = (overrides: Partial<Progress> = {}): Progress => ({
    logId: 'L',
    nextOffset: 50,
    lastOffset: 48,
    term: 2,
    version: version(50),
    transactionId: 'T',
    committedAtUs: 0,
    mappingHash: 'H',
    ...overrides,
  });
  const record = (offset: number, version: string, term: number): LogRecord => {
    const bytes = { timestampMs: 0, key: null, value: null, committedAtUs: 0, schemaId: 's', open: false };
    return { offset, version, term, ...bytes };
  };
  const ask = (
    mine: Progress | undefined,
    state = log(),
    atLast: LogRecord | 'deleted' | undefined = mine && record(mine.lastOffset, mine.version, mine.term),
  ) => resumeOf({ service: 's', partition: 'a', progress: mine, mappingHash: 'H', log: state, atLast });
  const stops = (code: string) => expect.objectContaining({ code, fault: 'fatal', remedy: expect.stringMatching(/.{20}/) as string });
  const deleted = log({ startOffset: 60 });

  it('where its progress says', () => expect(ask(progress())).toEqual({ logId: 'L', offset: 50, term: 2, after: version(50) }));
  it('a new service starts at the beginning of a log that has it', () =>
    expect(ask(undefined)).toEqual({ logId: 'L', offset: 0, term: 0 }));
  it('a new service after history was deleted stops', () => expect(() => ask(undefined, deleted)).toThrow(stops('LOG_LOST_HISTORY')));
  it('a service whose next record was deleted stops', () => expect(() => ask(progress(), deleted)).toThrow(stops('LOG_LOST_HISTORY')));
  it('empty is not new: a target that was flushed stops', () => {
    const known = log({}, { groups: new Map([['s', new Map([['a', 50]])]]) });
    expect(() => ask(undefined, known)).toThrow(stops('TARGET_PROGRESS_LOST'));
  });
  it('progress of another log stops', () => expect(() => ask(progress({ logId: 'other' }))).toThrow(stops('TARGET_PROGRESS_FOREIGN')));
  it('other mappings stop', () => expect(() => ask(progress({ mappingHash: 'other' }))).toThrow(stops('TARGET_MAPPING_CHANGED')));
  it('a target ahead of the log skips by version until the log has caught up', () => {
    const mine = progress({ nextOffset: 120, lastOffset: 119, term: 9 });
    const resumed = { logId: 'L', offset: 100, term: 3, skipThrough: mine.version, after: mine.version };
    expect(ask(mine, log(), undefined)).toEqual(resumed);
  });
  it('another version at its offset: the log was rewritten, so skip by version from its start', () => {
    const mine = progress();
    const resumed = { logId: 'L', offset: 0, term: 0, skipThrough: mine.version, after: mine.version };
    expect(ask(mine, log(), record(48, version(7), 2))).toEqual(resumed);
    expect(ask(mine, log(), record(49, version(51), 2))).toEqual(resumed);
    expect(resumeOf({ service: 's', partition: 'a', progress: mine, mappingHash: 'H', log: log(), atLast: undefined })).toEqual(resumed);
  });
  it('the same record with a lower term: the log was restored and filled again, and its own term counts', () => {
    expect(ask(progress({ term: 9 }), log(), record(48, version(50), 1))).toMatchObject({ offset: 50, term: 1 });
  });
  it('the last applied record was deleted: on from its progress, and never with a term that the log has not reached', () => {
    expect(ask(progress(), log({ startOffset: 50 }), 'deleted')).toEqual({ logId: 'L', offset: 50, term: 2, after: version(50) });
    expect(ask(progress({ term: 9 }), log({ startOffset: 50 }), 'deleted')).toMatchObject({ term: 3 });
  });
  it('nothing but markers was deleted behind its last record: no history was lost', () => {
    const idle = log({ startOffset: 52, endOffset: 52, last: last(48, version(50), 'T', 2) });
    expect(ask(progress(), idle, 'deleted')).toEqual({ logId: 'L', offset: 52, term: 2, after: version(50) });
  });
  it('progress without a version stops: nothing could be compared with it', () => {
    for (const nonsense of ['', 'latest', '99999999'])
      expect(() => ask(progress({ version: nonsense }))).toThrow(stops('TARGET_PROGRESS_FOREIGN'));
  });
  it('a version above all of a log that reaches the last record applied stops: skipping up to it would drop what is to come', () => {
    const edited = version(1, 0, 0x99999999);
    const first = record(48, version(50), 2);
    expect(() => ask(progress({ version: edited }), log(), first)).toThrow(stops('TARGET_PROGRESS_FOREIGN'));
    const atItsEnd = log({ endOffset: 50, last: last(48, version(50), 'T') });
    expect(() => ask(progress({ version: edited }), atItsEnd, first)).toThrow(stops('TARGET_PROGRESS_FOREIGN'));
  });
  it('a topic that was made anew is another log, whatever its offsets', () => {
    expect(() => ask(progress(), log({ logId: 'M' }))).toThrow(stops('TARGET_PROGRESS_FOREIGN'));
  });
});
