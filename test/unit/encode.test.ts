import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codec } from '../../src/codec.ts';
import type { TableSchema } from '../../src/core/change.ts';
import type { LogRecord, Tail } from '../../src/core/log-port.ts';
import type { RowChange, Transaction } from '../../src/core/source-port.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { readVarint } from '../../src/core/varint.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';
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

type Stored = Map<string, { records: LogRecord[]; batchEnds: number[]; batchBytes: number[] }>;
function store(encoder: Encoder, into: Stored): void {
  const appends = encoder.take();
  for (const { partition, batch } of appends) {
    const at = into.get(partition) ?? { records: [], batchEnds: [], batchBytes: [] };
    into.set(partition, at);
    at.records.push(...decodeRecordBatch(batch.finish(codec, at.records.length), codec, partition));
    at.batchEnds.push(at.records.length);
    at.batchBytes.push(batch.count === 1 ? 0 : batch.bytes);
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
      fc.property(parts, fc.constantFrom(1, 400, 900, 1e6), (cuts, batchBytesMax) => {
        const encoder = new Encoder('p', routing, { term: 1, batchBytesMax }, new TailFilter(nothing));
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
        for (const { records, batchEnds, batchBytes } of stored.values()) {
          expect(Math.max(...batchBytes)).toBeLessThanOrEqual(batchBytesMax);
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
      { numRuns: 1500 },
    );
    expect(run.failed, `seed ${run.seed}: ${JSON.stringify(run.counterexample)} ${String(run.errorInstance)}`).toBe(false);
  });
});

describe('section 2: a key change is three records', () => {
  it('delete, tombstone and insert, each where its key belongs', () => {
    const encoder = new Encoder(
      'p',
      new Map([['shop.orders', { topic: 't', partitions: 1 }]]),
      { term: 7, batchBytesMax: 1e6 },
      new TailFilter(nothing),
    );
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

/** Every header of every record, as the bytes say; the product's reader passes over Debezium's own. */
function rawHeaders(batch: RecordBatchBuilder): Map<string, string>[] {
  const bytes = batch.finish(codec, 0);
  const cursor = { at: 61 };
  const text = () => {
    const length = readVarint(bytes, cursor);
    const from = cursor.at;
    cursor.at += Math.max(length, 0);
    return Buffer.from(bytes.subarray(from, cursor.at)).toString();
  };
  return Array.from({ length: batch.count }, () => {
    readVarint(bytes, cursor);
    cursor.at += 1;
    for (let skipped = 0; skipped < 2; skipped += 1) readVarint(bytes, cursor);
    text();
    text();
    return new Map(Array.from({ length: readVarint(bytes, cursor) }, () => [text(), text()] as const));
  });
}

describe('section 2: the headers of a key change', () => {
  it.each([false, true])('the old key is told where it went, the new key where it came from (in parts: %s)', (open) => {
    const one = new Map([['shop.orders', { topic: 't', partitions: 1 }]]);
    const encoder = new Encoder('p', one, { term: 7, batchBytesMax: 1e6 }, new TailFilter(nothing));
    const change: RowChange = { ...insert(transaction(1), 0, 20), op: 'u', before: json(2), oldKey: json(2) };
    encoder.add([change], open, 1);
    if (open) encoder.add([insert(change.transaction, 1, 5)], false, 1);
    else encoder.add([insert(transaction(2), 0, 5)], false, 1);
    const headers = encoder.take().flatMap(({ batch }) => rawHeaders(batch));
    const debezium = headers.map((of) => [...of].filter(([name]) => name.startsWith('__debezium')));
    const toNew = [['__debezium.newkey', '{"id":20}']];
    expect(debezium).toEqual([toNew, toNew, [['__debezium.oldkey', '{"id":2}']], []]);
    expect(headers.map((of) => of.get('version')?.slice(-10))).toEqual([
      '00000000-0',
      '00000000-1',
      '00000000-2',
      open ? '00000001-2' : '00000000-2',
    ]);
  });
});

describe('section 2: the numbers of a row in its transaction', () => {
  const other: TableSchema = { ...schema, id: 'efgh', table: { database: 'shop', table: 'stock' } };
  const both = new Map([...routing, ['shop.stock', { topic: 'p.shop.stock', partitions: 1 }]]);
  const of = transaction(1);
  const orders = (ordinal: number) => insert(of, ordinal, ordinal);
  const stock = (ordinal: number): RowChange => ({ ...orders(ordinal), schema: other });
  const moved: RowChange = { ...orders(2), op: 'u', before: json(50), oldKey: json(50) };
  const gone: RowChange = { ...orders(4), op: 'd', before: json(4), after: null };
  const changes = [orders(0), stock(1), moved, stock(3), gone, orders(5), insert(transaction(2), 0, 9)];

  /** Version → total and collection order; tombstones have none. */
  function numbers(filter: TailFilter, cut = changes.length): Map<string, string> {
    const encoder = new Encoder('p', both, { term: 1, batchBytesMax: 1e6 }, filter);
    const stored: Stored = new Map();
    encoder.add(changes.slice(0, cut), cut < changes.length, 1);
    store(encoder, stored);
    encoder.add(changes.slice(cut), false, 1);
    store(encoder, stored);
    type Order = { transaction: { total_order: number; data_collection_order: number } };
    const found = new Map<string, string>();
    for (const { version, value } of [...stored.values()].flatMap(({ records }) => records)) {
      if (value === null) continue;
      const { total_order, data_collection_order } = (JSON.parse(Buffer.from(value).toString()) as Order).transaction;
      found.set(version.slice(9 + 9), `${total_order} ${data_collection_order}`);
    }
    return new Map([...found].sort(([left], [right]) => (left < right ? -1 : 1)));
  }

  it('count from 1, over the transaction and over its table; a key change counts twice', () => {
    expect([...numbers(new TailFilter(nothing)).values()]).toEqual(['1 1', '2 1', '3 2', '4 3', '5 2', '6 4', '7 5', '1 1']);
    expect(numbers(new TailFilter(nothing), 3)).toEqual(numbers(new TailFilter(nothing)));
  });

  it('are the same when the first rows are dropped after a resume', () => {
    const all = numbers(new TailFilter(nothing));
    const stockVersion = `${of.versionPrefix}00000001-2`;
    const last = { offset: 0, term: 1, version: stockVersion, transactionId: of.id };
    const tail: Tail = { partitions: new Map([['p.shop.stock#0', { logId: 'L', startOffset: 0, endOffset: 1, last }]]) };
    const resumed = numbers(new TailFilter(tail));
    expect(resumed.size).toBe(all.size - 1);
    for (const [version, order] of resumed) expect(order).toBe(all.get(version));
  });
});

describe('section 2: a TRUNCATE', () => {
  const truncate = (of: Transaction): RowChange => ({ ...insert(of, 0, 0), op: 't', after: null, key: Buffer.alloc(0) });

  it('is one record in every partition, without a key, under one version, and a barrier', () => {
    const encoder = new Encoder('p', routing, { term: 7, batchBytesMax: 1e6 }, new TailFilter(nothing));
    const stored: Stored = new Map();
    encoder.add([insert(transaction(1), 0, 5), truncate(transaction(2)), insert(transaction(3), 0, 5)], false, 1);
    store(encoder, stored);
    expect(stored.size).toBe(partitions);
    const barriers = [...stored.values()].flatMap(({ records }) => records.filter(({ barrier }) => barrier !== undefined));
    expect(barriers).toHaveLength(partitions);
    const version = versionOf(transaction(2).versionPrefix, 0, 0);
    for (const record of barriers) {
      expect(record).toMatchObject({ key: null, barrier: partitions, version, open: false, term: 7, schemaId: 'abcd' });
      expect(JSON.parse(Buffer.from(record.value ?? '').toString())).toMatchObject({
        before: null,
        after: null,
        transaction: null,
        op: 't',
      });
    }
    for (const { records } of stored.values()) expect(records.map((one) => one.version)).toEqual(records.map((one) => one.version).sort());
  });

  it('G5: after a crash between its partitions it is written where it is missing, and nowhere twice', () => {
    const version = versionOf(transaction(2).versionPrefix, 0, 0);
    const last = { offset: 0, term: 1, version, transactionId: transaction(2).id };
    const tail: Tail = { partitions: new Map([['p.shop.orders#1', { logId: 'L', startOffset: 0, endOffset: 1, last }]]) };
    const encoder = new Encoder('p', routing, { term: 7, batchBytesMax: 1e6 }, new TailFilter(tail));
    encoder.add([truncate(transaction(2))], false, 1);
    expect(encoder.take().map(({ partition }) => partition)).toEqual(['p.shop.orders#0', 'p.shop.orders#2']);
  });

  it('ends an open transaction before it, and is never part of one', () => {
    const encoder = new Encoder('p', routing, { term: 7, batchBytesMax: 1e6 }, new TailFilter(nothing));
    const stored: Stored = new Map();
    const [first, third] = [transaction(1), transaction(3)];
    encoder.add([insert(first, 0, 5), insert(first, 1, 5)], true, 1);
    encoder.add([truncate(transaction(2))], false, 1);
    store(encoder, stored);
    for (const { records } of stored.values()) expect(records.at(-1)).toMatchObject({ barrier: partitions, open: false });
    expect([...stored.values()].flatMap(({ records }) => records.map(({ open }) => open)).filter(Boolean)).toHaveLength(1);
    expect(() => encoder.add([insert(third, 0, 5), truncate(third)], true, 1)).toThrow('alone in its transaction');
  });
});
