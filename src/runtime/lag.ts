/** Lag as a person on call means it: how old is what a reader of the target sees? */
import type { LogState } from '../core/log-state.ts';
import type { PartitionId } from '../core/log-port.ts';

export interface Lag {
  /** undefined: the pipeline never started, so there is nothing that could be late. */
  readonly seconds: number | undefined;
  /** Records of the log that are not applied yet. */
  readonly changes: number;
}

export interface LagQuestion {
  readonly partition: PartitionId;
  readonly log: LogState;
  /** Everything below this offset is visible in the target. */
  readonly nextOffset: number;
  /** When the first record that is not applied was committed in the source; undefined when there is none or it is unknown. */
  readonly nextCommittedAtUs: number | undefined;
  readonly nowMs: number;
}

/**
 * Behind: the age of the oldest change that is not visible. Caught up: the age of the last complete record, which the
 * leading capture renews every second, also for idle tables; so an idle pipeline is near zero, and lag grows as soon as
 * capture, log or apply is dead. Never negative, whatever the clocks say.
 */
export function lagOf({ partition, log, nextOffset, nextCommittedAtUs, nowMs }: LagQuestion): Lag {
  const endOffset = log.partitions.get(partition)?.endOffset ?? 0;
  const changes = Math.max(0, endOffset - nextOffset);
  if (log.start === undefined && log.complete === undefined) return { seconds: undefined, changes };
  const throughUs = log.complete?.throughUs ?? (log.start?.writtenAtMs ?? nowMs) * 1000;
  const sinceUs = changes > 0 && nextCommittedAtUs !== undefined ? Math.min(nextCommittedAtUs, throughUs) : throughUs;
  return { seconds: Math.max(0, nowMs - sinceUs / 1000) / 1000, changes };
}

/** Where a service stands in a partition, as its meters were told last. */
export interface Standing {
  /** When the oldest change that is not visible was committed in the source. */
  readonly sinceUs: number;
  readonly changes: number;
}

/**
 * Lag at the moment of asking, from inside a process: it goes on growing while nothing is delivered. Caught up, the target
 * is as old as what capture vouches for; undefined where capture runs elsewhere, for then nobody here can know.
 */
export function lagSecondsNow({ sinceUs, changes }: Standing, completedThroughUs: number | undefined, nowMs: number): number | undefined {
  const us = changes > 0 ? sinceUs : completedThroughUs;
  return us === undefined ? undefined : Math.max(0, nowMs / 1000 - us / 1e6);
}
