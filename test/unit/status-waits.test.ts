import { expect, test } from 'vitest';
import { makeOutput } from '../../src/commands/output.ts';
import { reasonsOf } from '../../src/commands/status-health.ts';
import type { PartitionSample } from '../../src/commands/status-partition.ts';
import { statusReport } from '../../src/commands/status-report.ts';
import type { Sample } from '../../src/commands/status-sample.ts';

const partition = (number: number, waitsSeconds?: number): PartitionSample => ({
  partition: `shop.orders#${number}`,
  tables: ['shop.orders'],
  nextOffset: 1,
  endOffset: 2,
  lagChanges: 1,
  ...(waitsSeconds === undefined ? {} : { waitsSeconds }),
});

/** Reasons, and the lines of the report, of a service in which all else is well. */
function told(partitions: readonly PartitionSample[]) {
  const life = { who: 'pid 1 on db1', silentSeconds: 0 };
  const service = { name: 'orders', kind: 'postgres', members: [life], lagChanges: 1, applied: 1, partitions };
  const look: Omit<Sample, 'healthy' | 'reasons'> = {
    pipeline: 'shop',
    atMs: 0,
    source: { server: 'db:3306', end: 'x' },
    log: { path: 'l', leader: life, records: 1 },
    services: [service],
  };
  const reasons = reasonsOf(look);
  const stream = { isTTY: false, columns: 100, write: () => true };
  const output = makeOutput({ stdout: stream, stderr: stream, stdin: { isTTY: false } } as unknown as Parameters<typeof makeOutput>[0], {});
  const sample = { ...look, healthy: reasons.length === 0, reasons };
  return {
    reasons,
    text: statusReport(sample, { capturedPerSecond: 0, appliedPerSecond: {}, partitionsPerSecond: {}, stillSeconds: {} }, output),
  };
}

test('who waits at a TRUNCATE, and for whom, is shown at once and a reason beyond half a minute', () => {
  const short = told([partition(0, 12), partition(1), partition(2, 3), partition(3)]);
  expect(short.text).toContain('shop.orders waits at a TRUNCATE for partitions #1, #3 since 12 s');
  expect(short.reasons).toEqual([]);
  const long = told([partition(0, 40), partition(1)]);
  expect(long.text).toContain('shop.orders waits at a TRUNCATE for partition #1 since 40 s');
  expect(long.reasons).toEqual(['service orders: shop.orders waits at a TRUNCATE for partition #1']);
  // All have come: the table is being emptied.
  expect(told([partition(0, 31), partition(1, 2)]).reasons).toEqual(['service orders: shop.orders does the work of a TRUNCATE']);
  expect(told([partition(0), partition(1)]).text).not.toContain('TRUNCATE');
});
