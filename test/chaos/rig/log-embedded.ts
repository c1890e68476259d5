/** The embedded log from outside: its file, read with the project's own batch decoder. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { codec } from '../../../src/codec.ts';
import { decodeRecordBatch } from '../../../src/core/record-batch-reader.ts';
import type { LogView, PartitionRecords, WrittenRecord } from './log-view.ts';

export function embeddedView(folder: string, pipeline: string): LogView {
  const file = join(folder, `${pipeline}.crossfade.db`);
  const opened = () => new DatabaseSync(file, { readOnly: true, timeout: 2000 });
  return {
    kind: 'embedded',
    setting: 'embedded',
    captured: (topic) => {
      using database = opened();
      const ends = database.prepare('SELECT sum(end_offset) AS sum FROM partitions WHERE topic = coalesce(?, topic)');
      return Promise.resolve(Number(ends.get(topic ?? null)?.['sum'] ?? 0));
    },
    records: () => {
      using database = opened();
      return Promise.resolve(recordsOf(database));
    },
  };
}

function recordsOf(database: DatabaseSync): PartitionRecords[] {
  const rows = database
    .prepare(
      `SELECT topic || '#' || number AS partition, raw_bytes, data FROM batches
       JOIN partitions ON partitions.id = batches.partition ORDER BY batches.partition, base_offset`,
    )
    .iterate();
  const partitions = new Map<string, WrittenRecord[]>();
  for (const row of rows) {
    const partition = String(row['partition']);
    const records = partitions.get(partition) ?? [];
    partitions.set(partition, records);
    for (const { offset, version, term } of decodeRecordBatch(row['data'] as Uint8Array, codec, partition, Number(row['raw_bytes'])))
      records.push({ offset, version, term });
  }
  return [...partitions].map(([partition, records]) => ({ partition, records, markers: [] }));
}
