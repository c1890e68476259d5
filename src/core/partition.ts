/** Which topic and partition a row belongs to, and their names: chosen by us and nobody else, so that both logs agree for ever. */
import type { TableId } from './change.ts';
import type { PartitionId, StreamSpec } from './log-port.ts';

export const partitionId = (topic: string, number: number): PartitionId => `${topic}#${number}`;

/** A topic's own name has no `#` (see escapePart), but nothing here leans on that. */
export const topicOf = (partition: PartitionId): string => partition.slice(0, partition.lastIndexOf('#'));

export const numberOf = (partition: PartitionId): number => Number(partition.slice(partition.lastIndexOf('#') + 1));

/** All partitions of a stream, by number. */
export const partitionsOf = ({ topic, partitions }: StreamSpec): PartitionId[] =>
  Array.from({ length: partitions }, (_, number) => partitionId(topic, number));

/** Kafka's default partitioner: murmur2 over the key's bytes, sign bit off, modulo. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return partitions === 1 ? 0 : (murmur2(key) & 0x7fffffff) % partitions;
}

export function murmur2(data: Uint8Array): number {
  const length = data.length;
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = (data[i] as number) | ((data[i + 1] as number) << 8) | ((data[i + 2] as number) << 16) | ((data[i + 3] as number) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    h = Math.imul(h, m) ^ Math.imul(k, m);
  }
  const rest = length - whole;
  if (rest >= 3) h ^= (data[whole + 2] as number) << 16;
  if (rest >= 2) h ^= (data[whole + 1] as number) << 8;
  if (rest >= 1) h = Math.imul(h ^ (data[whole] as number), m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
}

/** `<pipeline>.<database>.<table>`, with what Kafka forbids (and our own separators) escaped so that no two tables meet. */
export function topicOfTable(pipeline: string, table: TableId): string {
  return `${pipeline}.${escapePart(table.database)}.${escapePart(table.table)}`;
}

export function topicOfStream(pipeline: string, stream: string): string {
  return `${pipeline}.${escapePart(stream)}`;
}

function escapePart(part: string): string {
  return part.replace(/[^A-Za-z0-9_-]|_(?=x)/g, (character) =>
    Array.from({ length: character.length }, (_, i) => `_x${character.charCodeAt(i).toString(16).toUpperCase().padStart(4, '0')}_`).join(
      '',
    ),
  );
}
