/** Lag as a person on call means it: how old is what a reader of the target sees? One rule, for `status` and for metrics. */
import type { CompleteRecord, PartitionId } from '../core/log-port.ts';
import type { LogState } from '../core/log-state.ts';

export interface Lag {
  /** undefined: nobody here can know, or the pipeline never started. */
  readonly seconds: number | undefined;
  /** Records of the log that are not applied yet. */
  readonly changes: number;
}

export interface LagQuestion {
  readonly partition: PartitionId;
  readonly log: Pick<LogState, 'start' | 'complete' | 'partitions'>;
  /** Everything below this offset is visible in the target. */
  readonly nextOffset: number;
  /** When the first record that is not applied was committed in the source; undefined when there is none or it is unknown. */
  readonly nextCommittedAtUs: number | undefined;
  /** What an earlier look found: everything that the source committed before this is visible. */
  readonly knownUs?: number | undefined;
  readonly nowMs: number;
}

export function lagOf(question: LagQuestion): Lag {
  const { log, partition, nextOffset, nowMs } = question;
  const endOffset = log.partitions.get(partition)?.endOffset ?? 0;
  return { seconds: secondsSince(visibleThroughUs(question), log.complete, nowMs), changes: Math.max(0, endOffset - nextOffset) };
}

/**
 * By the source's clock: everything of this partition that was committed before is visible in the target.
 * At the end that a complete record names: the instant up to which that record vouches, which the leading capture renews
 * every second, also for idle tables; so an idle pipeline is near zero, and lag grows as soon as capture, log or apply is
 * dead. Behind it: the commit of the oldest change that is missing. Where neither is known, what was known before.
 */
export function visibleThroughUs({ partition, log, nextOffset, nextCommittedAtUs, knownUs }: LagQuestion): number | undefined {
  const { start, complete } = log;
  const endOffset = log.partitions.get(partition)?.endOffset ?? 0;
  if (complete) {
    if (nextOffset >= (complete.ends[partition] ?? 0)) return latest(complete.throughUs, knownUs);
    return latest(nextCommittedAtUs === undefined ? undefined : Math.min(nextCommittedAtUs, complete.throughUs), knownUs);
  }
  if (!start) return undefined;
  const startUs = start.writtenAtMs * 1000;
  if (nextOffset >= endOffset) return startUs;
  return latest(nextCommittedAtUs === undefined ? undefined : Math.min(nextCommittedAtUs, startUs), knownUs);
}

/** The age of an instant of the source's clock, as of now by ours; never negative, whatever the clocks say. */
export function secondsSince(us: number | undefined, complete: CompleteRecord | undefined, nowMs: number): number | undefined {
  return us === undefined ? undefined : Math.max(0, notBefore(complete, nowMs) * 1000 + clockOffsetUs(complete) - us) / 1e6;
}

/**
 * Our clock says that a record is yet to be written which is there already: it was set back, or the writer's is ahead. Where
 * the writer measured how far its clock is from the source's, that is the clock to go by.
 */
export function notBefore(complete: CompleteRecord | undefined, nowMs: number): number {
  return complete?.clockOffsetUs === undefined ? nowMs : Math.max(nowMs, complete.writtenAtMs);
}

/**
 * The source's clock minus ours, as capture measured it when it connected. A source that vouches for an instant after the
 * record was written is ahead by that much at least, whatever was measured: its lag would look smaller than it is.
 */
export function clockOffsetUs(complete: CompleteRecord | undefined): number {
  if (!complete) return 0;
  const { throughUs, writtenAtMs, clockOffsetUs: measuredUs = 0 } = complete;
  return Math.max(measuredUs, throughUs - writtenAtMs * 1000);
}

function latest(...instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.filter((us) => us !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
