/** What a fetch brings of one partition: batches in a row, the last perhaps cut. Split here, decoded where they are delivered. */
import { corrupt } from '../../src/core/log-errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { headerBytes } from '../../src/core/record-batch.ts';

export interface StoredBatch {
  readonly baseOffset: number;
  /** Behind its last record. */
  readonly nextOffset: number;
  /** The broker's own: a transaction's end. It takes an offset and holds no record of ours. */
  readonly control: boolean;
  readonly records: number;
  /** The whole batch; a view into the answer. */
  readonly bytes: Buffer;
}

const lengthAt = 8;
const magicAt = 16;
const attributesAt = 21;
const lastDeltaAt = 23;
const countAt = 57;
const controlBit = 0x20;
/** Enough of a batch to know its length. */
const prefixBytes = 12;

/**
 * The whole batches from `offset` on. The broker serves from the start of the batch that holds the wanted offset, and cuts
 * where its limit is: a cut batch at the end is left out, and is whole with the next fetch.
 */
export function splitRecordSet(set: Buffer, partition: PartitionId, offset: number): StoredBatch[] {
  const batches: StoredBatch[] = [];
  let at = 0;
  while (at + prefixBytes <= set.length) {
    const end = at + prefixBytes + set.readInt32BE(at + lengthAt);
    if (end > set.length) break;
    const bytes = set.subarray(at, end);
    const where = `${partition}@${Number(bytes.readBigInt64BE(0))}`;
    if (bytes.length < headerBytes || bytes[magicAt] !== 2) throw corrupt(where, 'it is not a record batch of format 2, so it is not ours');
    const baseOffset = Number(bytes.readBigInt64BE(0));
    const nextOffset = baseOffset + bytes.readInt32BE(lastDeltaAt) + 1;
    const control = (bytes.readInt16BE(attributesAt) & controlBit) !== 0;
    if (nextOffset > offset) batches.push({ baseOffset, nextOffset, control, records: bytes.readInt32BE(countAt), bytes });
    at = end;
  }
  return batches;
}
