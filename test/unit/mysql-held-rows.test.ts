import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeldRows, type HeldRow } from '../../connectors/mysql/transaction/held-rows.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { code } from '../support/binlog-bytes.ts';

test('a folder that cannot be written to is a matter of trying again', () => {
  using held = new HeldRows(10, join(tmpdir(), 'no-such-folder'));
  const row = {
    schema: {} as RowChange['schema'],
    op: 'c',
    ordinal: 0,
    pos: 0,
    row: 0,
    before: null,
    after: new Uint8Array(300_000),
    key: new Uint8Array(),
    oldKey: null,
  } as const;
  expect(
    code(() => {
      for (let count = 0; count < 3; count += 1) held.add(row);
    }),
  ).toBe('SOURCE_FAILED');
});

test('held rows come back as they were, from memory and from the file', () => {
  const schema = { id: 'x' } as unknown as RowChange['schema'];
  const bytes = fc.option(fc.uint8Array({ maxLength: 3000 }), { nil: null });
  const row: fc.Arbitrary<HeldRow> = fc.record({
    schema: fc.constant(schema),
    op: fc.constantFrom('c', 'u', 'd', 't'),
    ordinal: fc.nat(0xfffffff),
    pos: fc.nat(2 ** 45),
    row: fc.nat(1000),
    before: bytes,
    after: bytes,
    key: fc.uint8Array({ maxLength: 40 }),
    oldKey: bytes,
  });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 200 }), fc.constantFrom(0, 1000, 50_000, 1 << 24), (rows, memoryBytes) => {
      using held = new HeldRows(memoryBytes);
      for (const each of rows) held.add(each);
      expect(held.count).toBe(rows.length);
      expect([...held.rows()]).toEqual(rows);
      // A second time, and without every other one.
      using half = held.filter((_, index) => index % 2 === 0);
      expect([...half.rows()]).toEqual(rows.filter((_, index) => index % 2 === 0));
    }),
    { numRuns: 60 },
  );
});
