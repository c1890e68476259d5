/** What a look at the log shows, from outside and without taking part. */
import type { CompleteRecord, Offsets, PartitionId, PartitionState, StartRecord } from './log-port.ts';
import type { Fault } from './errors.ts';
import type { Finding } from './ports.ts';

/** A process at the log, in the words by which a person finds it, and how long ago it last showed that it lives. */
export interface LogMember {
  readonly who: string;
  readonly silentSeconds: number;
}

/** Why a part (`capture`, `apply orders`) does not run, or last did not; its code, fault and own words, as in CrossfadeError. */
export interface PartTrouble {
  readonly code: string;
  /** `retry`: the part waits and tries again by itself, as long as its process lives. */
  readonly fault: Fault;
  readonly message: string;
  readonly sinceMs: number;
}

export interface LogState {
  readonly start?: StartRecord;
  readonly complete?: CompleteRecord;
  readonly partitions: ReadonlyMap<PartitionId, PartitionState>;
  /** How far each group said it was (advisory: the target's own progress is the truth). */
  readonly groups: ReadonlyMap<string, Offsets>;
  /** Who reads for each group, as far as the log knows; a group that nobody reads is absent. */
  readonly members: ReadonlyMap<string, readonly LogMember[]>;
  /** By group: the partitions that wait at a barrier, and since when (ms). Short waits are not told. */
  readonly waits: ReadonlyMap<string, ReadonlyMap<PartitionId, number>>;
  /** Who leads, as far as the log knows. */
  readonly leader?: LogMember;
  /** By part; see `Log.trouble`. */
  readonly troubles: ReadonlyMap<string, PartTrouble>;
  /** Set when the log has little room left (`warning`) or none (`error`): signs of life and troubles then cannot be written. */
  readonly room?: Finding;
}
