/** Changes that a target refused: held while others may still make them right, or in quarantine until a person decides. */
import type { ChangeEvent, Version } from './change.ts';
import type { PartitionId } from './log-port.ts';

/** What becomes of a change that can never be applied: the service stops, or it is put aside with its key's later changes. */
export type PoisonPolicy = 'halt' | 'quarantine';

/**
 * `held`: a constraint refused it, and other partitions may still bring what makes it right. `quarantined`: only a person
 * can. `behind`: a later change of such a key, which waits its turn.
 */
export type QueuedState = 'held' | 'quarantined' | 'behind';

export interface QueuedChange {
  /** Unique in its target. */
  readonly id: string;
  readonly state: QueuedState;
  /** `database.table` in the source, and the name in the target. */
  readonly source: string;
  readonly target: string;
  readonly partition: PartitionId;
  /** A digest: it tells keys apart and names none. */
  readonly key: string;
  readonly op: 'insert' | 'update' | 'delete' | 'read';
  readonly version: Version;
  readonly transactionId: string;
  readonly committedAtUs: number;
  readonly firstSeenMs: number;
  /** Later changes of its key that wait for the first of its queue; 0 for those that wait. */
  readonly behind: number;
  /** Why it was refused, without any value; absent of what waits behind another. */
  readonly code?: string;
  readonly reason?: string;
}

export interface QueuedDetail extends QueuedChange {
  /** With every value. */
  readonly event: ChangeEvent;
}

/** Of one table; `oldestMs`: when the first of them was refused. */
export interface QueueTotals {
  readonly source: string;
  readonly held: number;
  readonly quarantined: number;
  readonly behind: number;
  readonly oldestMs: number;
}

export interface QueueOutcome {
  readonly key: string;
  /** Changes that left the queue because the row is now as the last of them says. */
  readonly applied: number;
  /** Changes of the key that are still there. */
  readonly left: number;
  /** Why they are. */
  readonly code?: string;
  readonly reason?: string;
}

/**
 * For a person. Every call is a transaction of its own; those that change something also raise the owner epoch of the
 * partition, so that whoever applies it at this time starts again from what is there now. They throw TARGET_BUSY (retry)
 * when the partition's owner is in the middle of a long transaction.
 */
export interface Quarantine {
  /** The first of each queue, or every change; the oldest first. */
  list(which: 'heads' | 'all'): Promise<readonly QueuedChange[]>;
  totals(): Promise<readonly QueueTotals[]>;
  show(id: string): Promise<QueuedDetail | undefined>;
  /**
   * Tries the whole queue of this change's key: its last change is the row's state, so that counts for all of them. All leave
   * the queue, or nothing happens. undefined: no such change.
   */
  retry(id: string): Promise<QueueOutcome | undefined>;
  /** Forgets one change for ever and tries what waited behind it. undefined: no such change. */
  discard(id: string): Promise<QueueOutcome | undefined>;
}
