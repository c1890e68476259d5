/** One look at one place of the log, outside of all reading ahead. */
import { lostHistory } from '../../src/core/log-errors.ts';
import type { LogRecord, PartitionId } from '../../src/core/log-port.ts';
import { numberOf } from '../../src/core/partition.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import type { KafkaCluster } from './cluster.ts';
import { codeError } from './errors.ts';
import type { PartitionRange } from './ranges.ts';
import { splitRecordSet } from './record-set.ts';
import { fetchRequest } from './requests/fetch.ts';

const bytesMax = 1024 * 1024;

/** The first record from `offset` on, whatever its term. Markers have no record: the look goes on behind them, up to the end. */
export async function recordAt(
  cluster: KafkaCluster,
  codec: Codec,
  partition: PartitionId,
  offset: number,
  { topicId, startOffset, servedFrom, endOffset }: PartitionRange,
): Promise<LogRecord | undefined> {
  if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
  let at = Math.max(offset, servedFrom);
  while (at < endOffset) {
    const place = { topicId, partition: numberOf(partition), offset: at, bytesMax };
    const records = await cluster.retrying(async () => {
      const [answer] = await cluster.send({ leaderOf: partition }, fetchRequest([place], { waitMs: 0, bytesMax }), { lane: 'look' });
      if (answer?.errorCode === 0) return answer.records;
      cluster.forget({ leaderOf: partition });
      throw codeError(answer?.errorCode ?? -1, 'Fetch', partition);
    });
    const batches = splitRecordSet(records, partition, at);
    if (batches.length === 0) return undefined;
    for (const batch of batches) {
      if (!batch.control) {
        const found = decodeRecordBatch(batch.bytes, codec, `${partition}@${batch.baseOffset}`).find((record) => record.offset >= offset);
        if (found) return found;
      }
      at = batch.nextOffset;
    }
  }
  return undefined;
}
