/** How large a batch may be, whenever its bytes are made. */
import type { PartitionId } from '../../src/core/log-port.ts';
import { recordTooLarge } from './errors.ts';

/** What a topic is made for (max.message.bytes): a little below what a broker takes in one request. */
const largestBatchBytes = 96 * 1024 * 1024;

/** A larger one would make the broker close the connection, without a word why. */
export function withinLimit(bytes: Uint8Array | Promise<Uint8Array>, partition: PartitionId): Uint8Array | Promise<Uint8Array> {
  if (bytes instanceof Promise) return bytes.then((made) => withinLimit(made, partition));
  if (bytes.length > largestBatchBytes) throw recordTooLarge(partition, bytes.length);
  return bytes;
}
