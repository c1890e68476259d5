/** Taking partitions: raise the owner epoch in the target, then decide from both sides where each goes on. */
import { CrossfadeError } from '../core/errors.ts';
import { notMadeYet } from '../core/log-errors.ts';
import type { LogState } from '../core/log-state.ts';
import type { Log, PartitionId } from '../core/log-port.ts';
import type { Progress, Sink } from '../core/sink-port.ts';
import { type Resume, resumeOf } from './resume.ts';

export interface ClaimParts {
  readonly service: string;
  readonly mappingHash: (partition: PartitionId) => string;
  readonly log: Log;
  readonly sink: Sink;
}

export async function claimPartitions(parts: ClaimParts, partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, Resume>> {
  const progress = await parts.sink.claim(partitions);
  // Read after the claim: only who claims after us can still move what the target says.
  const log = await parts.log.state();
  const resumes = new Map<PartitionId, Resume>();
  for (const partition of partitions) {
    if (!log.partitions.has(partition)) throw notMadeYet(partition);
    const mine = progress.get(partition);
    const question = { service: parts.service, partition, progress: mine, mappingHash: parts.mappingHash(partition), log };
    const atLast = mine === undefined ? undefined : await recordAtLast(parts.log, log, partition, mine);
    try {
      resumes.set(partition, resumeOf({ ...question, atLast }));
    } catch (error) {
      // Whoever claimed after us may have moved both sides between our two looks: that is a takeover, not a verdict.
      if ((await parts.sink.progress()).get(partition)?.nextOffset !== mine?.nextOffset) throw takenMeanwhile(partition);
      throw error;
    }
  }
  return resumes;
}

/** Where the target's own offsets hold: not where it never applied, nor where what it has is skipped by version. */
export function trusted(resumes: ReadonlyMap<PartitionId, Resume>): Map<PartitionId, number> {
  const known = [...resumes].filter(([, { after, skipThrough }]) => after !== undefined && skipThrough === undefined);
  return new Map(known.map(([partition, { offset }]) => [partition, offset]));
}

function takenMeanwhile(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `another owner took ${partition} while it was being claimed`,
    remedy: 'Nothing to do: the owner of the partition goes on.',
  });
}

/** What the log holds where the last applied record was: if it is another one, the log is not the one that was applied. */
async function recordAtLast(log: Log, { partitions }: LogState, partition: PartitionId, { logId, lastOffset }: Progress) {
  const state = partitions.get(partition);
  if (state === undefined || state.logId !== logId) return undefined;
  if (lastOffset < state.startOffset) return 'deleted';
  try {
    return await log.at(partition, lastOffset);
  } catch (error) {
    // It is applied, so retention may have deleted it since we looked.
    if (error instanceof CrossfadeError && error.code === 'LOG_LOST_HISTORY') return 'deleted';
    throw error;
  }
}
