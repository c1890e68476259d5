import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { codec } from '../../src/codec.ts';
import { type Codec, RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { EncodedHeaders } from '../../src/core/record-headers.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';

const producer = { id: 5n, epoch: 6, sequence: 7 };

/** `rows` values of `valueBytes` each: digits, which shrink, or noise, which does not. */
function batchOf(rows: number, valueBytes: number, noise: boolean): RecordBatchBuilder {
  const batch = new RecordBatchBuilder();
  const headers = EncodedHeaders.of(1, 1_700_000_000_000_000, 'cafe');
  for (let row = 0; row < rows; row += 1) {
    headers.version = versionOf(versionPrefix({ epoch: 1, file: 2, offset: 4 }), row, 2);
    const value = noise ? randomBytes(valueBytes) : Buffer.alloc(valueBytes, String(row));
    batch.add(1_700_000_000_000, Buffer.from(String(row)), value, headers, 'gtid:1');
  }
  return batch;
}

test('a batch that is finished later has the bytes of one that is finished at once, and small ones are there at once', async () => {
  const cases = [
    { rows: 3, valueBytes: 100, isLater: false },
    { rows: 100, valueBytes: 100, isLater: false },
    { rows: 3, valueBytes: 100_000, isLater: false },
    { rows: 100, valueBytes: 2000, isLater: true },
  ];
  for (const { rows, valueBytes, isLater } of cases) {
    for (const noise of [false, true]) {
      const batch = batchOf(rows, valueBytes, noise);
      const atOnce = Buffer.from(batch.finish(codec, 0, producer));
      const later = batch.finishLater(codec, 0, producer);
      expect(later instanceof Promise, `${rows} rows of ${valueBytes} bytes`).toBe(isLater);
      expect(Buffer.compare(Buffer.from(await later), atOnce), `${rows} rows of ${valueBytes} bytes, noise ${noise}`).toBe(0);
    }
  }
});

test('what does not shrink is not copied: its bytes are those of the builder, good until its reset', async () => {
  const batch = batchOf(100, 2000, true);
  const plain: Codec = { ...codec, compressLater: async (bytes) => bytes };
  const bytes = await batch.finishLater(plain, 0, producer);
  expect(bytes.buffer === batch.plain().memory).toBe(true);
});
