/** Streams of a service that stand before a TRUNCATE: who waits, for whom, and for how long. */
import { numberOf, topicOf } from '../core/partition.ts';
import type { PartitionSample } from './status-partition.ts';

interface StreamWait {
  /** Of the partition that came first. */
  readonly seconds: number;
  /** Without its seconds: the same while it lasts. */
  readonly text: string;
}

/** One for each stream in which a partition waits. */
export function waitsOf(partitions: readonly PartitionSample[]): StreamWait[] {
  return [...Map.groupBy(partitions, ({ partition }) => topicOf(partition)).values()].flatMap((stream) => {
    const seconds = Math.max(...stream.map(({ waitsSeconds }) => waitsSeconds ?? -1));
    if (seconds < 0) return [];
    const table = stream[0]?.tables.join(', ') ?? '';
    const absent = stream.filter(({ waitsSeconds }) => waitsSeconds === undefined).map(({ partition }) => `#${numberOf(partition)}`);
    const what = absent.length === 0 ? 'does the work of a TRUNCATE' : `waits at a TRUNCATE for ${partitionsText(absent)}`;
    return [{ seconds, text: `${table} ${what}` }];
  });
}

function partitionsText(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  const rest = names.length > 8 ? ` and ${names.length - 8} more` : '';
  return `${names.length === 1 ? 'partition' : 'partitions'} ${shown}${rest}`;
}
