/** Damaged records of the log: what is refused, and that nothing else than what the bytes say is ever accepted. */
import { describe, expect, test } from 'vitest';
import { codec } from '../../src/codec.ts';
import type { ChangeEvent, Row, TableSchema } from '../../src/core/change.ts';
import { readEnvelope } from '../../src/core/envelope.ts';
import { envelopeScanner } from '../../src/core/envelope-scanner.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { LogRecord } from '../../src/core/log-port.ts';
import { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { EncodedHeaders } from '../../src/core/record-headers.ts';
import { scannedChange } from '../../src/core/scanned-change.ts';
import { versionOf, versionPrefix, versionZero } from '../../src/core/version.ts';
import { envelopeOf, fuzzSchema } from '../support/fuzz-envelopes.ts';
import { judgeEnvelope } from '../support/judge-envelope.ts';
import { fuzzRuns, fuzzSeed, fuzzTimeoutMs, mutated } from '../support/mutate.ts';
import { seeded } from '../support/random.ts';

console.info(`fuzz: FUZZ_SEED=${fuzzSeed}, ${fuzzRuns} mutations`);

const recordOf = (value: Uint8Array): LogRecord => ({
  offset: 1,
  timestampMs: 1,
  key: null,
  value,
  version: versionZero,
  term: 1,
  committedAtUs: 1,
  schemaId: fuzzSchema.id,
  open: false,
});

/** The event, or the code of the error; an error that is not ours is thrown on. */
function outcome<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof CrossfadeError && error.code !== 'INTERNAL' && error.code !== 'INVARIANT') return error.code;
    throw error;
  }
}

type Images = Pick<ChangeEvent, 'op'> & { readonly before?: Row; readonly after?: Row };

describe(`envelopes, seed ${fuzzSeed}`, () => {
  test('G1: a damaged envelope is refused, or read as exactly what its text says', { timeout: fuzzTimeoutMs }, () => {
    const random = seeded(fuzzSeed);
    const counts = { refused: 0, read: 0, scanned: 0 };
    const scanner = envelopeScanner(fuzzSchema);
    for (let run = 0; run < fuzzRuns; run += 1) {
      const good = envelopeOf(random);
      const bad = mutated(good, random);
      const judged = judgeEnvelope(bad, fuzzSchema);
      const answer = outcome(() => readEnvelope(recordOf(bad), fuzzSchema, 'p@1') as Images | undefined);
      const place = () => `FUZZ_SEED=${fuzzSeed}, run ${run}: ${bad.toString('latin1')}`;
      // The fast way leaves what it does not know to the parser; it remembers the envelope before, which was a good one.
      scanner?.scan(good);
      const found = scanner?.scan(bad);
      if (found) {
        const { op, before, after } = scannedChange(recordOf(bad), fuzzSchema, found) as Images;
        expect({ op, before, after }, place()).toEqual(judged);
        counts.scanned += 1;
      }
      if (judged === undefined) {
        counts.refused += 1;
        if (answer !== 'ENVELOPE_INVALID') expect(answer, place()).toBe('ENVELOPE_INVALID');
        continue;
      }
      counts.read += 1;
      if (typeof answer !== 'object') expect(answer, place()).toEqual(judged);
      else expect({ op: answer.op, before: answer.before, after: answer.after }, place()).toEqual(judged);
    }
    // A judge that refuses or lets pass everything would prove nothing.
    expect(Math.min(counts.refused, counts.read, counts.scanned)).toBeGreaterThan(fuzzRuns / 100);
  });
});

function batchOf(values: readonly Uint8Array[], schema: TableSchema): RecordBatchBuilder {
  const batch = new RecordBatchBuilder();
  const headers = EncodedHeaders.of(3, 1_700_000_000_000_000, schema.id);
  const prefix = versionPrefix({ epoch: 1, file: 2, offset: 4711 });
  for (const [index, value] of values.entries()) {
    headers.version = versionOf(prefix, index, 2);
    batch.add(1_700_000_000_000 + index, Buffer.from(`{"id":${index}}`), value, headers, 'uuid:7');
  }
  return batch;
}

const plain = { ...codec, compress: (bytes: Uint8Array) => bytes };
/** Behind the fields that a broker sets, which are not under the checksum; the log compares the base offset itself. */
const underChecksum = 21;

describe(`record batches, seed ${fuzzSeed}`, () => {
  const random = seeded(fuzzSeed + 1);
  const values = Array.from({ length: 48 }, () => envelopeOf(random));
  const good = {
    plain: Buffer.from(batchOf(values, fuzzSchema).finish(plain, 100)),
    zstd: Buffer.from(batchOf(values, fuzzSchema).finish(codec, 100)),
  };
  const rawBytes = batchOf(values, fuzzSchema).bytes;

  test('G1: any damage under the checksum is LOG_CORRUPT', { timeout: fuzzTimeoutMs }, () => {
    for (let run = 0; run < fuzzRuns / 4; run += 1) {
      const bad = mutated(random.chance(0.5) ? good.plain : good.zstd, random, { from: underChecksum });
      const answer = outcome(() => decodeRecordBatch(bad, codec, 'p@100', rawBytes));
      if (answer !== 'LOG_CORRUPT') expect(answer, `FUZZ_SEED=${fuzzSeed}, run ${run}: ${bad.toString('hex')}`).toBe('LOG_CORRUPT');
    }
  });

  test('G1: damage under a checksum that fits is an error of ours, or the records are whole', { timeout: fuzzTimeoutMs }, () => {
    let decoded = 0;
    for (let run = 0; run < fuzzRuns / 4; run += 1) {
      const bad = mutated(random.chance(0.8) ? good.plain : good.zstd, random, { from: underChecksum, keepLength: random.chance(0.7) });
      if (bad.length < 61) continue;
      bad.writeInt32BE(bad.length - 12, 8);
      bad.writeUInt32BE(codec.crc32c(bad.subarray(underChecksum)) >>> 0, 17);
      const place = () => `FUZZ_SEED=${fuzzSeed}, run ${run}: ${bad.toString('hex')}`;
      const records = outcome(() => decodeRecordBatch(bad, codec, 'p@100', rawBytes));
      if (typeof records === 'string') {
        if (records !== 'LOG_CORRUPT') expect(records, place()).toBe('LOG_CORRUPT');
        continue;
      }
      decoded += 1;
      // Whatever a header was turned into, apply looks its schema up and compares its version: nothing here may throw otherwise.
      for (const [index, { version, term, committedAtUs, offset, value }] of records.entries()) {
        if (version.length !== versionZero.length || !(term >= 0) || !(committedAtUs >= 0) || !Number.isSafeInteger(offset))
          expect.fail(place());
        if (value === null || values[index]?.equals(value)) continue;
        if (judgeEnvelope(Buffer.from(value), fuzzSchema) === undefined) {
          const answer = outcome(() => readEnvelope(recordOf(value), fuzzSchema, 'p@1'));
          if (answer !== 'ENVELOPE_INVALID') expect(answer, place()).toBe('ENVELOPE_INVALID');
        }
      }
    }
    expect(decoded).toBeGreaterThan(fuzzRuns / 100);
  });
});
