/** Taking partitions: raise the owner epoch in the target, then decide from both sides where each goes on. */
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
  // Read after the claim: from here on nobody else can move what the target says.
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
    resumes.set(partition, resumeOf({ ...question, versionBefore }));
  }
  return { logId: log.logId, resumes };
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
  for await (const delivery of log.readFrom(new Map([[partition, nextOffset - 1]]), either)) {
    const before = delivery.records.filter(({ offset }) => offset < nextOffset).at(-1);
    stop.abort();
    return before?.version;
  }
  return undefined;
}
