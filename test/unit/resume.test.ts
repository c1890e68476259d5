import { describe, expect, it } from 'vitest';
import type { LogState, Progress, Tail } from '../../src/core/ports.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';
import { resumeOf, TailFilter } from '../../src/runtime/resume.ts';

const version = (offset: number, ordinal = 0, epoch = 1) => versionOf(versionPrefix({ epoch, file: 1, offset }), ordinal, 2);
const at = (position: string, ends: Record<string, number>) => ({ position, throughUs: 0, writtenAtMs: 0, term: 1, ends });

describe('section 9: resume of capture', () => {
  const tail: Tail = {
    complete: at('P', { a: 10, b: 5 }),
    partitions: new Map([
      ['a', { endOffset: 12, last: { version: version(200, 1), transactionId: 'T2' } }],
      ['b', { endOffset: 5, last: { version: version(100), transactionId: 'T1' } }],
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

  it('never appends a version that is not above the last one', () => {
    const filter = new TailFilter(tail);
    expect(filter.admits('b', version(101), 'T1')).toBe(true);
    expect(() => filter.admits('b', version(101), 'T1')).toThrow(expect.objectContaining({ code: 'LOG_TAIL_NOT_MET' }));
  });

  it('a log without a complete record drops everything that is there', () => {
    const filter = new TailFilter({ partitions: new Map([['a', { endOffset: 1, last: { version: version(5), transactionId: 'T' } }]]) });
    expect(filter.admits('a', version(5), 'T')).toBe(false);
    expect(filter.admits('a', version(6), 'U')).toBe(true);
  });
});

describe('section 9: where a service goes on', () => {
  const log = (overrides: Partial<LogState> = {}): LogState => ({
    logId: 'L',
    partitions: new Map([['a', { startOffset: 0, endOffset: 100 }]]),
    groups: new Map(),
    ...overrides,
  });
  const progress = (overrides: Partial<Progress> = {}): Progress => ({
    logId: 'L',
    nextOffset: 50,
    version: version(50),
    transactionId: 'T',
    committedAtUs: 0,
    mappingHash: 'H',
    ...overrides,
  });
  const ask = (mine: Progress | undefined, state = log(), versionBefore: string | undefined = mine?.version) =>
    resumeOf({ service: 's', partition: 'a', progress: mine, mappingHash: 'H', log: state, versionBefore });
  const stops = (code: string) => expect.objectContaining({ code, fault: 'fatal', remedy: expect.stringMatching(/.{20}/) as string });
  const deleted = log({ partitions: new Map([['a', { startOffset: 60, endOffset: 100 }]]) });

  it('where its progress says', () => expect(ask(progress())).toEqual({ offset: 50, after: version(50) }));
  it('a new service starts at the beginning of a log that has it', () => expect(ask(undefined)).toEqual({ offset: 0 }));
  it('a new service after history was deleted stops', () => expect(() => ask(undefined, deleted)).toThrow(stops('LOG_LOST_HISTORY')));
  it('a service whose next record was deleted stops', () => expect(() => ask(progress(), deleted)).toThrow(stops('LOG_LOST_HISTORY')));
  it('empty is not new: a target that was flushed stops', () => {
    const known = log({ groups: new Map([['s', new Map([['a', 50]])]]) });
    expect(() => ask(undefined, known)).toThrow(stops('TARGET_PROGRESS_LOST'));
  });
  it('progress of another log stops', () => expect(() => ask(progress({ logId: 'other' }))).toThrow(stops('TARGET_PROGRESS_FOREIGN')));
  it('other mappings stop', () => expect(() => ask(progress({ mappingHash: 'other' }))).toThrow(stops('TARGET_MAPPING_CHANGED')));
  it('a target ahead of the log skips by version until the log has caught up', () => {
    const mine = progress({ nextOffset: 120 });
    expect(ask(mine, log(), undefined)).toEqual({ offset: 100, skipThrough: mine.version, after: mine.version });
  });
  it('another version at its offset: the log was rewritten, so skip by version from its start', () => {
    const mine = progress();
    expect(ask(mine, log(), version(7))).toEqual({ offset: 0, skipThrough: mine.version, after: mine.version });
  });
});
