/** The keys of our own in Redis, and the progress that they hold. All share one hash tag: pipeline and service. */
import type { Version } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { topicOf } from '../../src/core/partition.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Progress } from '../../src/core/sink-port.ts';

export interface OwnKeys {
  /** A set: every partition that this service ever claimed. */
  readonly partitions: string;
  /** A set, shared with other pipelines: all that ever filled this database for a service of this name. */
  readonly pipelines: string;
  progress(partition: PartitionId): string;
  /** A hash: the versions of deleted keys, by key. One per topic: no other topic's rows may render to the same keys. */
  tombstones(partition: PartitionId): string;
}

const escapePart = (part: string) => encodeURIComponent(part);

export function ownKeys(pipeline: string, service: string): OwnKeys {
  const prefix = `crossfade:{${escapePart(pipeline)}/${escapePart(service)}}:`;
  return {
    partitions: `${prefix}partitions`,
    pipelines: `crossfade:pipelines:${escapePart(service)}`,
    progress: (partition) => `${prefix}progress:${partition}`,
    tombstones: (partition) => `${prefix}tombstones:${topicOf(partition)}`,
  };
}

/** The fields of a progress hash behind its owner_epoch, in the order that the scripts answer them. */
export const progressFields = [
  'log_id',
  'next_offset',
  'last_offset',
  'term',
  'version',
  'transaction_id',
  'committed_at_us',
  'mapping_hash',
] as const;

/** As fields and values, for HSET. */
export function progressArguments(progress: Progress): string[] {
  const values = [
    progress.logId,
    String(progress.nextOffset),
    String(progress.lastOffset),
    String(progress.term),
    progress.version,
    progress.transactionId,
    String(progress.committedAtUs),
    progress.mappingHash,
  ];
  return progressFields.flatMap((name, at) => [name, values[at] as string]);
}

/** From the values of {@link progressFields}; undefined where nothing was ever applied. */
export function parseProgress(values: readonly unknown[], partition: PartitionId): Progress | undefined {
  if (values.every((value) => value === null)) return undefined;
  const [logId, next, last, termText, version, transactionId, committedAtUs, mappingHash] = values;
  const [nextOffset, lastOffset, term] = [Number(next), Number(last), Number(termText)];
  const committed = Number(committedAtUs);
  if (
    typeof logId === 'string' &&
    typeof version === 'string' &&
    typeof transactionId === 'string' &&
    typeof mappingHash === 'string' &&
    [nextOffset, lastOffset, term, committed].every(Number.isSafeInteger)
  ) {
    const place = { logId, nextOffset, lastOffset, term, version: version satisfies Version };
    return { ...place, transactionId, committedAtUs: committed, mappingHash };
  }
  throw new CrossfadeError({
    code: 'TARGET_PROGRESS_FOREIGN',
    fault: 'fatal',
    message: `the progress of ${partition} in Redis is not one that Crossfade writes`,
    remedy: 'Somebody changed keys that begin with "crossfade:". Rebuild the service: crossfade rebuild.',
  });
}
