import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codec } from '../../src/codec.ts';
import type { TableSchema } from '../../src/core/change.ts';
import type { LogRecord, RowChange, Tail, Transaction } from '../../src/core/ports.ts';
import { decodeRecordBatch } from '../../src/core/record-batch.ts';
import { versionPrefix } from '../../src/core/version.ts';
import { Encoder } from '../../src/runtime/encode.ts';
import { TailFilter } from '../../src/runtime/resume.ts';

const schema: TableSchema = {
  id: 'abcd',
  table: { database: 'shop', table: 'orders' },
  columns: [{ name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32 }],
  key: ['id'],
};
const partitions = 3;
const routing = new Map([['shop.orders', { topic: 'p.shop.orders', partitions }]]);
const json = (id: number) => Buffer.from(`{"id":${id}}`);
const transaction = (number: number): Transaction => ({
  id: `uuid:${number}`,
  gtid: `uuid:${number}`,
  file: 'binlog.000001',
  serverId: 1,
  committedAtUs: 1_795_254_519_771_987 + number,
  versionPrefix: versionPrefix({ epoch: 1, file: 1, offset: number * 1000 }),
});
const insert = (of: Transaction, ordinal: number, id: number): RowChange => ({
  transaction: of,
  schema,
  op: 'c',
  ordinal,
  pos: 4,
  row: ordinal,
  before: null,
  after: json(id),
  key: json(id),
  oldKey: null,
});
const nothing: Tail = { partitions: new Map() };

type Stored = Map<string, { records: LogRecord[]; batchEnds: number[] }>;
function store(encoder: Encoder, into: Stored): void {
  const appends = encoder.take();
  for (const { partition, batch } of appends) {
    const at = into.get(partition) ?? { records: [], batchEnds: [] };
    into.set(partition, at);
    at.records.push(...decodeRecordBatch(batch.finish(codec, at.records.length), codec, partition));
    at.batchEnds.push(at.records.length);
  }
  encoder.recycle(appends);
}

describe('G2: the open header', () => {
  it('a batch ends inside a transaction exactly when its last record is open, however the parts are cut', () => {
    const parts = fc.array(fc.tuple(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 6 }), fc.boolean()), {
      minLength: 1,
      maxLength: 8,
    });
    const run = fc.check(
      fc.property(parts, (cuts) => {
        const encoder = new Encoder('p', routing, 1, new TailFilter(nothing));
        const stored: Stored = new Map();
        let number = 1;
        let ordinal = 0;
        let current = transaction(number);
        const expected = new Map<string, number>();
        for (const [index, [ids, wish]] of cuts.entries()) {
          const open = wish && index < cuts.length - 1;
          const changes = ids.map((id) => insert(current, ordinal++, id));
          expected.set(current.id, (expected.get(current.id) ?? 0) + changes.length);
          encoder.add(changes, open, 1);
          store(encoder, stored);
          if (open) continue;
          number += 1;
          ordinal = 0;
          current = transaction(number);
        }
        const seen = new Map<string, number>();
        for (const { records, batchEnds } of stored.values()) {
          const idOf = (record: LogRecord) =>
            (JSON.parse(Buffer.from(record.value ?? '').toString()) as { transaction: { id: string } }).transaction.id;
          const ids = records.map(idOf);
          for (const id of ids) seen.set(id, (seen.get(id) ?? 0) + 1);
          for (const end of batchEnds) expect(records[end - 1]?.open).toBe(ids[end] === ids[end - 1]);
          for (const [index, { version }] of records.entries())
            if (index > 0) expect(version > (records[index - 1]?.version ?? '')).toBe(true);
        }
        for (const [id, count] of expected) expect(seen.get(id) ?? 0, id).toBe(count);
      }),
      { numRuns: 500 },
    );
    expect(run.failed, `seed ${run.seed}: ${JSON.stringify(run.counterexample)} ${String(run.errorInstance)}`).toBe(false);
  });
});

describe('section 2: a key change is three records', () => {
  it('delete, tombstone and insert, each where its key belongs', () => {
    const encoder = new Encoder('p', new Map([['shop.orders', { topic: 't', partitions: 1 }]]), 7, new TailFilter(nothing));
    const stored: Stored = new Map();
    const change: RowChange = { ...insert(transaction(1), 3, 20), op: 'u', before: json(2), oldKey: json(2) };
    encoder.add([change], false, 1);
    store(encoder, stored);
    const records = stored.get('t#0')?.records ?? [];
    const spoken = records.map(({ key, value, version, term }) => [
      Buffer.from(key ?? '').toString(),
      value === null ? null : (JSON.parse(Buffer.from(value).toString()) as { op: string }).op,
      version.slice(-10),
      term,
    ]);
    expect(spoken).toEqual([
      ['{"id":2}', 'd', '00000003-0', 7],
      ['{"id":2}', null, '00000003-1', 7],
      ['{"id":20}', 'c', '00000003-2', 7],
    ]);
  });
});
