/** How far a service is in one partition, and whether that can be said at all. */
import type { LogState } from '../core/log-state.ts';
import type { Log, PartitionId, PartitionState, RecordHead } from '../core/log-port.ts';
import type { Progress } from '../core/sink-port.ts';
import { lagOf } from '../runtime/lag.ts';

export interface PartitionSample {
  readonly partition: PartitionId;
  /** The service's tables that travel in it. */
  readonly tables: readonly string[];
  readonly nextOffset: number;
  readonly endOffset: number;
  /** Absent: unknown, because there is a doubt, or because the log does not answer. */
  readonly lagSeconds?: number;
  readonly lagChanges: number;
  /** It stands before a TRUNCATE that other partitions of its stream have not come to, for so long. */
  readonly waitsSeconds?: number;
  /** Why the target's progress says nothing about this log. */
  readonly doubt?: Doubt;
}
interface Doubt {
  readonly code: string;
  readonly message: string;
}

/** What of the progress tells how far it is. */
export type Place = Pick<Progress, 'logId' | 'nextOffset'>;

export interface PartitionQuestion {
  readonly partition: PartitionId;
  readonly tables: readonly string[];
  readonly progress: Place | undefined;
  readonly waitsSinceMs?: number | undefined;
  readonly nowMs: number;
  /** Absent where the log does not answer; `ask` bounds the time. */
  readonly look?: { readonly log: Log; readonly state: LogState; readonly ask: <T>(work: () => Promise<T>) => Promise<T> };
}

export async function partitionSample({
  partition,
  tables,
  progress,
  waitsSinceMs,
  nowMs,
  look,
}: PartitionQuestion): Promise<PartitionSample> {
  const range = look?.state.partitions.get(partition);
  const nextOffset = progress?.nextOffset ?? range?.startOffset ?? 0;
  const endOffset = range?.endOffset ?? 0;
  const waits = waitsSinceMs === undefined ? {} : { waitsSeconds: Math.max(0, nowMs - waitsSinceMs) / 1000 };
  const base = { partition, tables, nextOffset, endOffset, lagChanges: Math.max(0, endOffset - nextOffset), ...waits };
  if (look === undefined) return { ...base, lagChanges: 0 };
  const doubt = doubtOf(progress, range);
  if (doubt) return { ...base, doubt };
  const next = nextOffset < endOffset ? await firstFrom(look, partition, nextOffset) : undefined;
  if (next === 'unknown') return base;
  // Between what was applied and the end there may be offsets without any record.
  const reached = next === undefined ? endOffset : nextOffset;
  const { seconds, changes } = lagOf({ partition, log: look.state, nextOffset: reached, nextCommittedAtUs: next?.committedAtUs, nowMs });
  return { ...base, ...(seconds === undefined ? {} : { lagSeconds: seconds }), lagChanges: changes };
}

/** Retention may just have taken it, or the log does not answer any more. */
async function firstFrom(
  { log, ask }: NonNullable<PartitionQuestion['look']>,
  partition: PartitionId,
  offset: number,
): Promise<RecordHead | 'unknown' | undefined> {
  try {
    return await ask(() => log.at(partition, offset));
  } catch {
    return 'unknown';
  }
}

/** A small lag must never be computed from offsets that mean something else: these are what stops an apply too. */
function doubtOf(progress: Place | undefined, range: PartitionState | undefined): Doubt | undefined {
  if (progress === undefined) return undefined;
  if (range === undefined || progress.logId !== range.logId)
    return { code: 'TARGET_PROGRESS_FOREIGN', message: 'the progress in the target belongs to another log' };
  if (progress.nextOffset > range.endOffset)
    return { code: 'LOG_LOST_HISTORY', message: 'the target has applied more than the log holds: the log lost its end' };
  if (progress.nextOffset < range.startOffset)
    return { code: 'LOG_LOST_HISTORY', message: 'the log has deleted what the target has not applied yet' };
  return undefined;
}
