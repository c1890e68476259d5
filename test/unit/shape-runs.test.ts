import { describe, expect, it } from 'vitest';
import type { TableSchema } from '../../src/core/change.ts';
import type { LogRecord } from '../../src/core/log-port.ts';
import { shapeRuns } from '../../src/runtime/shape-runs.ts';

const schemas = new Map<string, TableSchema>(
  ['orders', 'lines'].flatMap((table) =>
    [1, 2].map((shape) => {
      const id = `${table}${shape}`;
      return [id, { id, table: { database: 'shop', table }, columns: [], key: ['a'] }];
    }),
  ),
);
const runsOf = (...ids: string[]) =>
  shapeRuns(
    ids.map((schemaId) => ({ schemaId }) as LogRecord),
    schemas,
  ).map((run) => run.map(({ schemaId }) => schemaId));

describe('G2: a batch is folded by shape', () => {
  it('tables that take turns are one run', () =>
    expect(runsOf('orders1', 'lines1', 'orders1')).toEqual([['orders1', 'lines1', 'orders1']]));
  it('a new shape of a table begins a run', () => {
    expect(runsOf('orders1', 'lines1', 'orders2', 'lines1', 'orders2')).toEqual([
      ['orders1', 'lines1'],
      ['orders2', 'lines1', 'orders2'],
    ]);
    expect(runsOf('orders1', 'lines1', 'lines2', 'orders1', 'orders2')).toEqual([
      ['orders1', 'lines1'],
      ['lines2', 'orders1'],
      ['orders2'],
    ]);
  });
  it('nothing is nothing', () => expect(runsOf()).toEqual([]));
});
