/** What a terminal cuts, and what a pipe gets whole. */
import { describe, expect, test } from 'vitest';
import { makeOutput } from '../../src/commands/output.ts';
import { listText } from '../../src/commands/quarantine-text.ts';
import { statusReport } from '../../src/commands/status-report.ts';
import type { PartitionSample } from '../../src/commands/status-partition.ts';
import type { Sample } from '../../src/commands/status-sample.ts';

function output(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  const stream = { isTTY, columns, write: (text: string) => written.push(text) };
  const streams = { stdout: stream, stderr: stream, stdin: { isTTY: false } } as unknown as Parameters<typeof makeOutput>[0];
  return { written, output: makeOutput(streams, { NO_COLOR: '1' }) };
}

describe('crossfade quarantine list', () => {
  const change = {
    service: 'warehouse',
    id: '1234',
    state: 'quarantined',
    source: 'a_long_database.a_long_table_of_orders',
    target: 'public.orders',
    partition: 'p#0',
    key: 'abcdef0123456789',
    op: 'update',
    version: 'v',
    transactionId: 't',
    committedAtUs: 0,
    firstSeenMs: 0,
    behind: 12,
    code: 'TARGET_VALUE_REFUSED',
    reason: 'too long',
  } as const;
  const list = (isTTY: boolean, columns?: number) => listText([change], 9_000_000, output(isTTY, columns).output);

  test('through a pipe the whole table is there', () => {
    const [head, row] = list(false).split('\n');
    expect(head).toMatch(/^service +id +code +age +behind +state +change +table +key$/);
    expect(row).toContain('a_long_database.a_long_table_of_orders');
    expect(row).not.toContain('…');
  });

  test('on a narrow terminal the code, the age and what waits are left', () => {
    const [head, row] = list(true, 60).split('\n');
    expect(head).toContain('behind');
    expect(row).toMatch(/^warehouse +1234 +TARGET_VALUE_REFUSED +2\.5 h +12 .*…$/);
    expect(row?.length).toBeLessThanOrEqual(60);
  });
});

test('a status line that is too long says that it was cut', () => {
  const { output: terminal, written } = output(true, 20);
  terminal.statusLine('capture 0/s · orders waiting TARGET_UNREACHABLE');
  expect(written.at(-1)).toMatch(/capture 0\/s · orde…$/);
});

describe('the table of status', () => {
  const report = (partition: Pick<PartitionSample, 'nextOffset' | 'endOffset' | 'lagChanges' | 'doubt'>) => {
    const partitions = [
      { partition: 'shop.orders#0', tables: ['a_long_database.a_long_table_of_many_orders'], lagSeconds: 0, ...partition },
    ];
    const service = { name: 'orders', kind: 'postgres', lagSeconds: 0, lagChanges: partition.lagChanges, applied: 1, partitions };
    const sample: Sample = {
      pipeline: 'shop',
      atMs: 0,
      healthy: true,
      reasons: [],
      source: { server: 'db' },
      log: { path: 'kafka', records: 1 },
      services: [service],
    };
    const rates = { capturedPerSecond: 0, appliedPerSecond: {}, partitionsPerSecond: {}, stillSeconds: {} };
    return statusReport(sample, rates, output(false, 40).output);
  };
  const doubt = { code: 'TARGET_PROGRESS_FOREIGN', message: 'of another log' };

  test.each([
    ['marks of the log behind the last change are no lag', { nextOffset: 0, endOffset: 1, lagChanges: 0 }, / 1 +1 +0 /],
    ['what waits is seen', { nextOffset: 1, endOffset: 3, lagChanges: 2 }, / 1 +3 +2 /],
    ['the log does not answer', { nextOffset: 7, endOffset: 0, lagChanges: 0 }, / 7 +0 +0 /],
    ['in doubt nothing is made up', { nextOffset: 0, endOffset: 1, lagChanges: 0, doubt }, / 0 +1 +0 /],
  ])('%s, and a pipe gets the whole line', (_, partition, expected) => {
    const row = report(partition)
      .split('\n')
      .find((line) => line.includes('a_long_database'));
    expect(row).toMatch(expected);
    expect(row).toContain('a_long_table_of_many_orders #0');
  });
});
