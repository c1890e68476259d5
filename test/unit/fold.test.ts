import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChangeEvent, Row, TableSchema } from '../../src/core/change.ts';
import { foldEntries } from '../../src/core/fold.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import { versionZero } from '../../src/core/version.ts';

const schema: TableSchema = {
  id: 'cafe',
  table: { database: 'd', table: 't' },
  columns: ['id', 'v'].map((name) => ({ name, kind: 'integer', nullable: false, type: 'int' })),
  key: ['id'],
};
const common = { schema, version: versionZero, committedAtUs: 0, transactionId: '' };
const rowOf = fc.record({ id: fc.integer({ min: 0, max: 4 }), v: fc.nat(100) });
const event: fc.Arbitrary<ChangeEvent> = fc.oneof(
  rowOf.map((after) => ({ op: 'insert' as const, after, ...common })),
  rowOf.map((after) => ({ op: 'read' as const, after, ...common })),
  rowOf.map((before) => ({ op: 'delete' as const, before, ...common })),
  fc.tuple(rowOf, rowOf).map(([before, after]) => ({ op: 'update' as const, before, after, ...common })),
);

/** One by one, as a target without folding would. */
function applied(events: readonly ChangeEvent[], state: Map<unknown, Row>): Map<unknown, Row> {
  for (const change of events) {
    if (change.op === 'delete' || change.op === 'update') state.delete(change.before['id']);
    if (change.op !== 'delete' && change.op !== 'truncate') state.set(change.after['id'], change.after);
  }
  return state;
}

test('G2: folding leaves the target as one change after the other would, each key once', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1), event), { maxLength: 30 }), fc.array(rowOf), (list, before) => {
      const entries: Entry[] = list.map(([mapping, change]) => ({ mapping, event: change }));
      const folded = foldEntries(entries);
      for (const mapping of [0, 1]) {
        const start = () => new Map<unknown, Row>(before.map((row) => [row.id, row]));
        const mine = entries.filter((entry) => entry.mapping === mapping);
        const expected = applied(
          mine.map((entry) => entry.event),
          start(),
        );
        const rows = folded.get(mapping) ?? [];
        const state = start();
        for (const { row, identity } of rows) {
          if (row === undefined) state.delete(identity['id']);
          else state.set(row['id'], row);
        }
        expect(state).toEqual(expected);
        expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
        for (const { entry } of rows) expect(mine).toContain(entry);
      }
    }),
    { numRuns: 2000 },
  );
});
