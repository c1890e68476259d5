/** Reads every record's version straight from the log's file with the project's own batch decoder. */
import { DatabaseSync } from 'node:sqlite';
import { codec } from '../../../src/codec.ts';
import { decodeRecordBatch } from '../../../src/core/record-batch.ts';

export interface PartitionVersions {
  readonly partition: string;
  readonly records: readonly { readonly offset: number; readonly version: string }[];
}

export async function readVersions(logFile: string): Promise<PartitionVersions[]> {
  using database = new DatabaseSync(logFile, { readOnly: true });
  const rows = database
    .prepare(
      `SELECT topic || '#' || number AS partition, raw_bytes, data FROM batches
       JOIN partitions ON partitions.id = batches.partition ORDER BY batches.partition, base_offset`,
    )
    .all();
  const partitions = new Map<string, { offset: number; version: string }[]>();
  for (const row of rows) {
    const partition = String(row['partition']);
    const records = partitions.get(partition) ?? [];
    partitions.set(partition, records);
    for (const { offset, version } of decodeRecordBatch(row['data'] as Uint8Array, codec, partition, Number(row['raw_bytes'])))
      records.push({ offset, version });
  }
  return [...partitions].map(([partition, records]) => ({ partition, records }));
}
