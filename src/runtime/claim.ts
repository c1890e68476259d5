/** Taking partitions: raise the owner epoch in the target, then decide from both sides where each goes on. */
import { CrossfadeError } from '../core/errors.ts';
import type { Log, PartitionId, Progress, Sink } from '../core/ports.ts';
import type { Version } from '../core/change.ts';
import { type Resume, resumeOf } from './resume.ts';

export interface ClaimParts {
  readonly service: string;
  readonly mappingHash: (partition: PartitionId) => string;
  readonly log: Log;
  readonly sink: Sink;
}

export interface Claimed {
  readonly logId: string;
  readonly resumes: ReadonlyMap<PartitionId, Resume>;
}

export async function claimPartitions(parts: ClaimParts, partitions: readonly PartitionId[], signal: AbortSignal): Promise<Claimed> {
  const progress = await parts.sink.claim(partitions);
  // Read after the claim: only who claims after us can still move what the target says.
  const log = await parts.log.state();
  const resumes = new Map<PartitionId, Resume>();
  for (const partition of partitions) {
    const mine = progress.get(partition);
    const question = { service: parts.service, partition, progress: mine, mappingHash: parts.mappingHash(partition), log };
    const range = log.partitions.get(partition);
    const readable =
      mine !== undefined &&
      mine.logId === log.logId &&
      range !== undefined &&
      mine.nextOffset > range.startOffset &&
      mine.nextOffset <= range.endOffset;
    const versionBefore = readable ? await versionBeforeOffset(parts.log, partition, mine, signal) : undefined;
    try {
      resumes.set(partition, resumeOf({ ...question, versionBefore }));
    } catch (error) {
      // Whoever claimed after us may have moved both sides between our two looks: that is a takeover, not a verdict.
      if ((await parts.sink.progress()).get(partition)?.nextOffset !== mine?.nextOffset) throw takenMeanwhile(partition);
      throw error;
    }
  }
  return { logId: log.logId, resumes };
}

function takenMeanwhile(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `another owner took ${partition} while it was being claimed`,
    remedy: 'Nothing to do: the owner of the partition goes on.',
  });
}

/** The version of the last record below the progress: if it is another one, the log is not the one that was applied. */
async function versionBeforeOffset(
  log: Log,
  partition: PartitionId,
  { nextOffset }: Progress,
  signal: AbortSignal,
): Promise<Version | undefined> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  try {
    for await (const delivery of log.readFrom(new Map([[partition, nextOffset - 1]]), either)) {
      const before = delivery.records.filter(({ offset }) => offset < nextOffset).at(-1);
      stop.abort();
      return before?.version;
    }
  } catch (error) {
    // It is applied, so retention may have deleted it since we looked: then there is nothing to compare.
    if (!(error instanceof CrossfadeError) || error.code !== 'LOG_LOST_HISTORY') throw error;
  }
  return undefined;
}
