import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Row, TableSchema } from '../../src/core/change.ts';
import { readEnvelope, transactionIdOf } from '../../src/core/envelope.ts';
import { EnvelopeWriter } from '../../src/core/envelope-writer.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { LogRecord } from '../../src/core/log-port.ts';
import type { RowChange, Transaction } from '../../src/core/source-port.ts';
import { rowJson } from '../../src/core/row-json.ts';
import { versionZero } from '../../src/core/version.ts';

const schemaOf = (database: string, table: string): TableSchema => ({
  id: 'cafe',
  table: { database, table },
  columns: [
    { name: 'id', kind: 'integer', nullable: false, type: 'bigint' },
    { name: 's', kind: 'string', nullable: true, type: 'text' },
  ],
  key: ['id'],
});
const transactionOf = (id: string): Transaction => ({
  id,
  gtid: id,
  file: 'binlog.000023',
  serverId: 1,
  committedAtUs: 1795254519771987,
  versionPrefix: '',
});
const image = (row: Row | null) => row && Buffer.from(rowJson(['id', 's'], row));

function change(op: 'c' | 'u' | 'd', before: Row | null, after: Row | null, schema: TableSchema, transaction: Transaction): RowChange {
  return {
    transaction,
    schema,
    op,
    ordinal: 0,
    pos: 4523243,
    row: 1,
    before: image(before),
    after: image(after),
    key: Buffer.from('{}'),
    oldKey: null,
  };
}
const recordOf = (value: Uint8Array | null): LogRecord => ({
  offset: 1,
  timestampMs: 1,
  key: null,
  value: value && Uint8Array.from(value),
  version: versionZero,
  term: 1,
  committedAtUs: 1795254519771987,
  schemaId: 'cafe',
  open: false,
});

const row = fc.record({ id: fc.oneof(fc.integer(), fc.constant(18446744073709551615n)), s: fc.option(fc.string({ unit: 'binary' })) });

describe('envelope', () => {
  test('G6: what is written is read back, whatever stands in rows and names', () => {
    const writer = new EnvelopeWriter('shop "1"');
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.constantFrom('c', 'u', 'd'), row, row, name, name, name, (op, before, after, database, table, id) => {
        const schema = schemaOf(database, table);
        const bytes = writer.write(change(op, before, after, schema, transactionOf(id)), op, { total: 2, collection: 1 }, 1795254519789);
        const record = recordOf(bytes);
        const common = { schema, version: versionZero, committedAtUs: 1795254519771987, transactionId: id };
        const expected = {
          c: { op: 'insert', after, ...common },
          u: { op: 'update', before, after, ...common },
          d: { op: 'delete', before, ...common },
        };
        expect(readEnvelope(record, schema, 'p@1')).toEqual(expected[op]);
        expect(transactionIdOf(record, 'p@1')).toBe(id);
      }),
    );
  });

  test("its fields and their order are Debezium's", () => {
    const writer = new EnvelopeWriter('mono');
    const id = 'caf5fc7b-e586-11f1-8f88-02fc00000001:228150';
    const bytes = writer.write(
      change('c', null, { id: 2, s: 'x' }, schemaOf('golden', 'child'), transactionOf(id)),
      'c',
      { total: 3, collection: 2 },
      1795254519789,
    );
    expect(Buffer.from(bytes).toString()).toBe(
      '{"before":null,"after":{"id":2,"s":"x"},"source":{"version":"0.1.0","connector":"mysql","name":"mono","ts_ms":1795254519771,' +
        '"snapshot":"false","db":"golden","ts_us":1795254519771987,"table":"child","server_id":1,"gtid":"' +
        `${id}","file":"binlog.000023","pos":4523243,"row":1},"transaction":{"id":"${id}","total_order":3,"data_collection_order":2},"op":"c","ts_ms":1795254519789}`,
    );
  });

  test("a TRUNCATE has Debezium's fields in their order, and names its transaction by the GTID alone", () => {
    const schema = schemaOf('golden', 'child');
    const id = 'caf5fc7b-e586-11f1-8f88-02fc00000001:228153';
    const truncate: RowChange = { ...change('c', null, null, schema, transactionOf(id)), op: 't', row: 0 };
    const bytes = new EnvelopeWriter('mono').truncate(truncate, 1795254519801);
    expect(Buffer.from(bytes).toString()).toBe(
      '{"before":null,"after":null,"source":{"version":"0.1.0","connector":"mysql","name":"mono","ts_ms":1795254519771,' +
        '"snapshot":"false","db":"golden","ts_us":1795254519771987,"table":"child","server_id":1,"gtid":"' +
        `${id}","file":"binlog.000023","pos":4523243,"row":0},"transaction":null,"op":"t","ts_ms":1795254519801}`,
    );
    const event = readEnvelope(recordOf(bytes), schema, 'p@1');
    expect(event).toMatchObject({ op: 'truncate', schema, transactionId: id });
    expect(event).not.toHaveProperty('after');
  });

  test('G9: after a huge row its memory is given back, and rows of any size still fit', () => {
    const writer = new EnvelopeWriter('p');
    const schema = schemaOf('d', 't');
    const transaction = transactionOf('t');
    for (const length of [10, 9_000_000, 100_000, 1_000_000, 10, 2_000_000, 900_000]) {
      const after = { id: 1, s: 'x'.repeat(length) };
      const bytes = writer.write(change('c', null, after, schema, transaction), 'c', { total: 1, collection: 1 }, 1);
      expect(readEnvelope(recordOf(bytes), schema, 'p@1')).toMatchObject({ op: 'insert', after });
    }
  });

  test('a tombstone is no event', () => {
    expect(readEnvelope(recordOf(null), schemaOf('d', 't'), 'p@1')).toBeUndefined();
  });

  test('G1, G13: what is no event of ours is refused by place, without its content', () => {
    const schema = schemaOf('d', 't');
    for (const text of [
      'secret',
      '[]',
      'null',
      '{}',
      '{"op":"x","after":{"id":1,"s":"secret"}}',
      '{"op":"constructor"}',
      '{"op":"c","after":null}',
      '{"op":"c","after":{"id":"secret","s":null}}',
      '{"op":"u","before":null,"after":{"id":1,"s":null}}',
      '{"op":"d","before":{"id":1}}',
    ]) {
      let error: unknown;
      try {
        readEnvelope(recordOf(Buffer.from(text)), schema, 'shop.t#0@77');
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(CrossfadeError);
      const { code, message, remedy } = error as CrossfadeError;
      expect(code).toBe('ENVELOPE_INVALID');
      expect(message).toContain('shop.t#0@77');
      expect(message + remedy).not.toContain('secret');
    }
  });
});
