import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codec } from '../../src/codec.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { LogRecord } from '../../src/core/log-port.ts';
import { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { barrierHeader, EncodedHeaders } from '../../src/core/record-headers.ts';
import { KeptHeaders, RowHeaders } from '../../src/core/row-headers.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';

const plain = { ...codec, compress: (bytes: Uint8Array) => bytes };

interface Row {
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly term: number;
  readonly committedAtUs: number;
  readonly schemaId: string;
  readonly offset: number;
  readonly barrier: number | null;
  readonly extra: readonly (readonly [string, Uint8Array])[];
}

const bytes = fc.uint8Array({ maxLength: 300 });
const row: fc.Arbitrary<Row> = fc.record({
  timestampMs: fc.integer({ min: 0, max: 4e12 }),
  key: fc.option(bytes),
  value: fc.option(bytes),
  term: fc.integer({ min: 0, max: 2 ** 31 }),
  committedAtUs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  schemaId: fc.constantFrom('a1b2c3d4', 'ffffffffffffffff'),
  offset: fc.integer({ min: 0, max: 2 ** 40 }),
  barrier: fc.option(fc.integer({ min: 1, max: 2 ** 31 })),
  extra: fc.array(fc.tuple(fc.constantFrom('__debezium.newkey', '__debezium.oldkey', 'later'), bytes), { maxLength: 3 }),
});

function build(rows: readonly Row[]): RecordBatchBuilder {
  const batch = new RecordBatchBuilder();
  for (const { timestampMs, key, value, term, committedAtUs, schemaId, offset, extra, barrier } of rows) {
    const more = barrier === null ? extra : [...extra, barrierHeader(barrier)];
    const headers = EncodedHeaders.of(term, committedAtUs, schemaId, more);
    headers.version = versionOf(versionPrefix({ epoch: 1, file: 2, offset }), 3, 2);
    batch.add(timestampMs, key, value, headers, `gtid:${offset}`);
  }
  return batch;
}

const array = (value: Uint8Array | null) => value && [...value];

const shown = ({ offset, timestampMs, key, value, version, term, committedAtUs, schemaId, open, barrier }: LogRecord) => ({
  offset,
  timestampMs,
  key: array(key),
  value: array(value),
  version,
  term,
  committedAtUs,
  schemaId,
  open,
  ...(barrier === undefined ? {} : { barrier }),
});

const text = (value: string) => [value.length * 2, ...Buffer.from(value)];

describe('record batch', () => {
  test('what goes in comes out, compressed or not, wherever it is stored', () => {
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 100 }),
        fc.boolean(),
        (rows, base, zstd) => {
          const batch = build(rows);
          const used = zstd ? codec : plain;
          const records = decodeRecordBatch(batch.finish(used, base), used, 'p@0', zstd ? batch.bytes : 0);
          expect(records.map(shown)).toEqual(
            rows.map(({ timestampMs, key, value, term, committedAtUs, schemaId, offset, barrier }, index) => ({
              offset: base + index,
              timestampMs,
              key: array(key),
              value: array(value),
              version: versionOf(versionPrefix({ epoch: 1, file: 2, offset }), 3, 2),
              term,
              committedAtUs,
              schemaId,
              open: false,
              ...(barrier === null ? {} : { barrier }),
            })),
          );
          expect(batch.lastTransactionId).toBe(`gtid:${rows.at(-1)?.offset}`);
        },
      ),
    );
  });

  test("the bytes are Kafka's: one record, written out by hand from its documentation", () => {
    const headers = EncodedHeaders.of(7, 1_700_000_000_000_000, 'cafe');
    headers.version = '00000001-00000002-0000000000000003-00000004-2';
    const batch = new RecordBatchBuilder();
    batch.add(1_700_000_000_000, Buffer.from('k'), Buffer.from('v1'), headers, 't');
    const pairs = [
      ['version', headers.version],
      ['term', '7'],
      ['commit-ts-us', '1700000000000000'],
      ['schema', 'cafe'],
    ].flatMap(([name = '', value = '']) => [...text(name), ...text(value)]);
    const body = [0, 0, 0, 2, 0x6b, 4, 0x76, 0x31, 8, ...pairs];
    const length = body.length * 2;
    const record = [...(length < 128 ? [length] : [(length & 127) | 128, length >> 7]), ...body];
    const head = Buffer.alloc(61);
    head.writeBigInt64BE(42n, 0); // base offset
    head.writeInt32BE(49 + record.length, 8); // length behind this field
    head.writeInt32BE(-1, 12); // partition leader epoch
    head.writeInt8(2, 16); // magic
    head.writeInt16BE(0, 21); // attributes
    head.writeInt32BE(0, 23); // last offset delta
    head.writeBigInt64BE(1_700_000_000_000n, 27);
    head.writeBigInt64BE(1_700_000_000_000n, 35);
    head.writeBigInt64BE(5n, 43); // producer id
    head.writeInt16BE(6, 51); // producer epoch
    head.writeInt32BE(7, 53); // base sequence
    head.writeInt32BE(1, 57); // number of records
    const expected = Buffer.concat([head, Buffer.from(record)]);
    expected.writeUInt32BE(codec.crc32c(expected.subarray(21)), 17);
    const bytes = Buffer.from(batch.finish(codec, 42, { id: 5n, epoch: 6, sequence: 7 }));
    expect(bytes.toString('hex')).toBe(expected.toString('hex'));
  });

  test('G1: any flipped bit, any cut, any byte too many is LOG_CORRUPT and never other records', () => {
    const batch = build([fc.sample(row, { seed: 1, numRuns: 1 })[0] as Row, ...fc.sample(row, { seed: 2, numRuns: 60 })]);
    for (const used of [codec, plain]) {
      const good = Buffer.from(batch.finish(used, 10));
      fc.assert(
        fc.property(fc.nat(good.length * 8 - 1), (bit) => {
          const bad = Buffer.from(good);
          bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
          // Base offset and leader epoch are not under the checksum: the broker sets them. The log compares the former itself.
          if (bit >> 3 < 8 || (bit >> 3 >= 12 && bit >> 3 < 16)) return;
          expect(codeOf(() => decodeRecordBatch(bad, used, 'p@10'))).toBe('LOG_CORRUPT');
        }),
      );
      fc.assert(
        fc.property(fc.nat(good.length - 1), (length) => {
          expect(codeOf(() => decodeRecordBatch(good.subarray(0, length), used, 'p@10'))).toBe('LOG_CORRUPT');
        }),
      );
      expect(codeOf(() => decodeRecordBatch(Buffer.concat([good, Buffer.from([0])]), used, 'p@10'))).toBe('LOG_CORRUPT');
    }
  });

  test("G1: damage under a checksum that fits (a writer gone wrong) is an error of ours or the same number of records, never a stranger's error", () => {
    const good = Buffer.from(build(fc.sample(row, { seed: 3, numRuns: 8 })).finish(plain, 0));
    fc.assert(
      fc.property(fc.integer({ min: 21, max: good.length - 1 }), fc.nat(255), (at, value) => {
        const bad = Buffer.from(good);
        bad[at] = value;
        bad.writeUInt32BE(codec.crc32c(bad.subarray(21)), 17);
        const answer = codeOf(() => expect(decodeRecordBatch(bad, plain, 'p@0').length).toBe(8));
        expect([undefined, 'LOG_CORRUPT']).toContain(answer);
      }),
      { numRuns: 3000 },
    );
  });

  test('a builder is as new after reset, also after one huge row', () => {
    const batch = build([{ ...(fc.sample(row, { seed: 4, numRuns: 1 })[0] as Row), value: new Uint8Array(9 * 1024 * 1024) }]);
    batch.reset();
    expect([batch.count, batch.bytes]).toEqual([0, 0]);
    const headers = EncodedHeaders.of(1, 1, 'cafe');
    headers.version = versionOf(versionPrefix({ epoch: 1, file: 1, offset: 1 }), 0, 2);
    batch.add(5, Buffer.from('k'), null, headers, 't');
    expect([batch.firstVersion, batch.firstCommittedAtUs]).toEqual([headers.version, 1]);
    expect(decodeRecordBatch(batch.finish(codec, 0), codec, 'p@0')).toMatchObject([{ timestampMs: 5, value: null }]);
  });

  test('headers that are patched from row to row are the bytes of those that are made for one', () => {
    const rowOf = fc.record({ epoch: fc.nat(), offset: fc.nat(), ordinal: fc.nat(), half: fc.constantFrom(0, 1, 2), us: fc.nat() });
    fc.assert(
      fc.property(fc.array(rowOf, { minLength: 1 }), (cases) => {
        const patched = new RowHeaders(7, 'cafe');
        for (const { epoch, offset, ordinal, half, us } of cases) {
          const prefix = versionPrefix({ epoch, file: 3, offset });
          patched.transaction(prefix, us);
          patched.row(ordinal, half);
          const made = EncodedHeaders.of(7, us, 'cafe');
          made.version = versionOf(prefix, ordinal, half);
          const bytes = KeptHeaders.bytesOf(made);
          expect(KeptHeaders.bytesOf(patched)).toEqual(bytes);
          expect(KeptHeaders.bytesOf(new KeptHeaders(bytes, true))).toEqual(KeptHeaders.bytesOf(made.opened()));
        }
      }),
    );
  });

  test('a last record that is opened later is the same as one that was written open, whatever its size', () => {
    const sizes = fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 7900, max: 8200 })), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(sizes, (values) => {
        const [late, early] = [new RecordBatchBuilder(), new RecordBatchBuilder()];
        for (const [index, bytes] of values.entries()) {
          const headers = EncodedHeaders.of(1, 1000 + index, 'cafe');
          headers.version = versionOf(versionPrefix({ epoch: 1, file: 1, offset: 1 }), index, 2);
          late.add(index, Buffer.from('k'), new Uint8Array(bytes), headers, 't');
          early.add(index, Buffer.from('k'), new Uint8Array(bytes), index === values.length - 1 ? headers.opened() : headers, 't');
        }
        late.openLast();
        late.openLast();
        expect([late.firstVersion, late.lastVersion]).toEqual([early.firstVersion, early.lastVersion]);
        expect([late.firstCommittedAtUs, early.firstCommittedAtUs]).toEqual([1000, 1000]);
        expect(late.finish(plain, 0)).toEqual(early.finish(plain, 0));
      }),
    );
  });

  test('an empty batch is not written', () => {
    expect(codeOf(() => new RecordBatchBuilder().finish(codec, 0))).toBe('INVARIANT');
  });

  test('the open header is read, and headers that differ from row to row are not mixed up', () => {
    const batch = new RecordBatchBuilder();
    const one = EncodedHeaders.of(1, 1000, 'cafe');
    const two = EncodedHeaders.of(1, 2000, 'cafe');
    const prefix = versionPrefix({ epoch: 1, file: 1, offset: 1 });
    for (const [index, headers] of [one, one, two, one.opened(), one, two, two.opened()].entries()) {
      headers.version = versionOf(prefix, index, 2);
      batch.add(1, Buffer.from('k'), null, headers, 't');
    }
    const records = decodeRecordBatch(batch.finish(plain, 0), plain, 'p@0');
    expect(records.map(({ committedAtUs, open }) => [committedAtUs, open])).toEqual([
      [1000, false],
      [1000, false],
      [2000, false],
      [1000, true],
      [1000, false],
      [2000, false],
      [2000, true],
    ]);
    expect(records.map(({ version }) => version)).toEqual(records.map((_, index) => versionOf(prefix, index, 2)));
  });
});

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof CrossfadeError) return error.code;
    throw error;
  }
}
