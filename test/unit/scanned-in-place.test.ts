import { describe, expect, test } from 'vitest';
import { codec } from '../../src/codec.ts';
import { envelopeScanner, type EnvelopeScanner } from '../../src/core/envelope-scanner.ts';
import type { LogRecord } from '../../src/core/log-port.ts';
import { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { decodeRecordBatch, isTombstone, recordBytes, scanValue } from '../../src/core/record-batch-reader.ts';
import { EncodedHeaders } from '../../src/core/record-headers.ts';
import { scannedChange } from '../../src/core/scanned-change.ts';
import { versionOf, versionPrefix, versionZero } from '../../src/core/version.ts';
import { envelopeOf, fuzzSchema } from '../support/fuzz-envelopes.ts';
import { seeded } from '../support/random.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

function scannerOf(): EnvelopeScanner {
  const scanner = envelopeScanner(fuzzSchema);
  if (scanner === undefined) throw new Error('the schema can be scanned');
  return scanner;
}

const recordOf = (value: Buffer | null): LogRecord => ({
  offset: 0,
  timestampMs: 0,
  key: Buffer.from('{"id":1}'),
  value,
  version: versionZero,
  term: 1,
  committedAtUs: 1,
  schemaId: fuzzSchema.id,
  open: false,
});

/** Its rows, made of what the scan left: places that are wrong by one byte give other rows. */
function rowsAt(found: ReturnType<EnvelopeScanner['scan']>): unknown {
  if (found === undefined) return undefined;
  const { op, before, after, transactionId } = scannedChange(recordOf(null), fuzzSchema, found) as Readonly<Record<string, unknown>>;
  return { op, before, after, transactionId };
}

describe(`values where they lie, seed ${seed}`, () => {
  test('a value among others in a batch is scanned as it is scanned alone', () => {
    const random = seeded(seed);
    const scanner = scannerOf();
    let scanned = 0;
    for (let run = 0; run < 30; run += 1) {
      const values = Array.from({ length: 20 }, () => (random.chance(0.1) ? null : envelopeOf(random)));
      const batch = new RecordBatchBuilder();
      for (const [index, value] of values.entries()) {
        const headers = EncodedHeaders.of(1, 1, fuzzSchema.id);
        headers.version = versionOf(versionPrefix({ epoch: 1, file: 2, offset: 3 }), index, 2);
        batch.add(5, Buffer.from('key'), value, headers, 't');
      }
      const records = decodeRecordBatch(batch.finish(codec, 7), codec, 'p@7');
      for (const [index, record] of records.entries()) {
        const value = values[index] ?? null;
        expect([isTombstone(record), recordBytes(record)]).toEqual([value === null, 3 + (value?.length ?? 0)]);
        const there = rowsAt(scanValue(record, scanner));
        expect(there, `FUZZ_SEED=${seed}, run ${run}`).toEqual(value === null ? undefined : rowsAt(scanner.scan(value)));
        if (there !== undefined) scanned += 1;
        expect([isTombstone(recordOf(value)), rowsAt(scanValue(recordOf(value), scanner))]).toEqual([value === null, there]);
      }
    }
    expect(scanned).toBeGreaterThan(300);
  });

  test('a value that is cut, or begins late, is not completed by its neighbours', () => {
    const random = seeded(seed + 1);
    const scanner = scannerOf();
    for (let run = 0; run < 300; run += 1) {
      const value = envelopeOf(random);
      const all = Buffer.concat([value, value, value]);
      const cut = random.between(1, value.length - 1);
      expect(scanner.scanIn(all, value.length, value.length * 2 - cut)).toBeUndefined();
      expect(scanner.scanIn(all, value.length + cut, value.length * 2)).toBeUndefined();
      expect(scanner.scanIn(all, value.length, value.length * 2 + cut)).toBeUndefined();
    }
  });

  test('beyond the places that fit beside a code a value is found all the same', () => {
    const random = seeded(seed + 2);
    const scanner = scannerOf();
    const far = 2 ** 24;
    for (const at of [far - 300, far - 1, far, far + 12_345]) {
      const value = envelopeOf(random);
      const all = Buffer.alloc(at + value.length + 10, 'x');
      value.copy(all, at);
      expect(rowsAt(scanner.scanIn(all, at, at + value.length)), `FUZZ_SEED=${seed}, at ${at}`).toEqual(rowsAt(scanner.scan(value)));
    }
  });
});
