/**
 * The durable side of the memory log: what would be files or brokers, shared by every instance that opens it. Nothing
 * here reads a clock or waits by time but what is handed in, so a run can be repeated exactly.
 */
import type { TableSchema } from '../../src/core/change.ts';
import { shareOut } from '../../src/core/group-share.ts';
import { partitionsChanged, unknownPartition } from '../../src/core/log-errors.ts';
import {
  partitionId,
  type CompleteRecord,
  type PartitionId,
  type RecordPlace,
  type StartRecord,
  type StreamSpec,
} from '../../src/core/ports.ts';
import type { Codec, RecordBatchBuilder } from '../../src/core/record-batch.ts';

export interface MemoryLogSettings {
  readonly codec: Codec;
  readonly logId?: string;
  /** For every process that names no limits of its own: one delivery is at least one batch, then no more than this. */
  readonly deliveryBytes?: number;
  readonly deliveryRecords?: number;
  /** Awaited before every write becomes durable; a simulation decides here who goes on when. */
  readonly commit?: () => Promise<void>;
}

export interface StoredBatch {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly rawBytes: number;
  readonly data: Uint8Array;
}
export interface StoredPartition {
  batches: StoredBatch[];
  startOffset: number;
  endOffset: number;
  completeOffset: number;
  last: RecordPlace | undefined;
}
/** One process, as the cluster sees it. */
export interface MemoryOwner {
  readonly partitionIds: readonly PartitionId[];
}
export interface Member {
  readonly id: string;
  readonly group: string;
  readonly owner: MemoryOwner;
}

/** The durable side, shared by all instances. Its methods that no port has are the tests' hand on it. */
export class MemoryLogCluster {
  readonly settings: MemoryLogSettings;
  readonly logId: string;
  readonly partitions = new Map<PartitionId, StoredPartition>();
  readonly schemas = new Map<string, TableSchema>();
  readonly groups = new Map<string, Map<PartitionId, number>>();
  readonly members = new Map<string, Member>();
  startRecord: StartRecord | undefined;
  completeRecord: Omit<CompleteRecord, 'ends'> | undefined;
  term = 0;
  leader: { readonly term: number; readonly owner: MemoryOwner } | undefined;
  readonly #topics = new Map<string, number>();
  /** Per group, the member that claimed each partition last. */
  readonly #heldBy = new Map<string, Map<PartitionId, Member>>();
  readonly #waiting = new Set<() => void>();
  #memberCount = 0;
  #fullAfterWrites: number | undefined;

  constructor(settings: MemoryLogSettings) {
    this.settings = settings;
    this.logId = settings.logId ?? 'memory-log';
  }

  /** New streams are made; another number of partitions than the log has throws LOG_PARTITIONS_CHANGED. */
  ensure(streams: readonly StreamSpec[]): void {
    for (const { topic, partitions } of streams) {
      const stored = this.#topics.get(topic);
      if (stored !== undefined && stored !== partitions) throw partitionsChanged(topic, stored, partitions);
      this.#topics.set(topic, partitions);
      for (let number = 0; number < partitions; number += 1) {
        const id = partitionId(topic, number);
        if (!this.partitions.has(id))
          this.partitions.set(id, { batches: [], startOffset: 0, endOffset: 0, completeOffset: 0, last: undefined });
      }
    }
  }

  /** The election forgets the leader without telling it: what a deleted lock file or an expired session does. */
  depose(): void {
    this.leader = undefined;
    this.changed();
  }

  /** The group forgets this process without telling it: what happens to one that was frozen too long. */
  expel(log: MemoryOwner): void {
    for (const member of this.members.values()) if (member.owner === log) this.members.delete(member.id);
    this.changed();
  }

  /** Deletes whole batches below `offset`, as retention would. */
  truncateBelow(partition: PartitionId, offset: number): void {
    const stored = this.partition(partition);
    stored.batches = stored.batches.filter((batch) => batch.nextOffset > offset);
    stored.startOffset = stored.batches[0]?.baseOffset ?? stored.endOffset;
  }

  /** Puts a batch in behind the fence's back, as a frozen leader of a log without one could. */
  plant(partition: PartitionId, batch: RecordBatchBuilder): void {
    this.store(this.partition(partition), batch);
    this.changed();
  }

  /** From the given number of further writes on, every write fails as on a full disk; undefined ends it. */
  full(afterWrites: number | undefined): void {
    this.#fullAfterWrites = afterWrites;
  }

  takeSpace(): boolean {
    if (this.#fullAfterWrites === undefined) return true;
    this.#fullAfterWrites -= 1;
    return this.#fullAfterWrites >= 0;
  }

  partition(id: PartitionId): StoredPartition {
    const partition = this.partitions.get(id);
    if (!partition) throw unknownPartition(id);
    return partition;
  }

  store(partition: StoredPartition, batch: RecordBatchBuilder): void {
    const baseOffset = partition.endOffset;
    const nextOffset = baseOffset + batch.count;
    const data = batch.finish(this.settings.codec, baseOffset);
    partition.batches.push({ baseOffset, nextOffset, rawBytes: batch.bytes, data });
    partition.endOffset = nextOffset;
    partition.last = { version: batch.lastVersion, transactionId: batch.lastTransactionId };
  }

  complete(): CompleteRecord | undefined {
    if (!this.completeRecord) return undefined;
    const ends: Record<PartitionId, number> = {};
    for (const [id, { completeOffset }] of this.partitions) if (completeOffset > 0) ends[id] = completeOffset;
    return { ...this.completeRecord, ends };
  }

  join(group: string, owner: MemoryOwner): Member {
    this.#memberCount += 1;
    const member = { id: `${group}-${String(this.#memberCount).padStart(8, '0')}`, group, owner };
    this.members.set(member.id, member);
    this.changed();
    return member;
  }

  share(member: Member): readonly PartitionId[] {
    const members = [...this.members.values()].filter(({ group }) => group === member.group);
    return shareOut(members.map(({ id, owner }) => ({ id, partitions: owner.partitionIds }))).get(member.id) ?? [];
  }

  /** Who claims last holds: so a partition that went to another member and came back is seen to have been away. */
  hold(member: Member, partitions: readonly PartitionId[]): void {
    for (const [partition, holder] of this.#holders(member.group)) if (holder === member) this.#holders(member.group).delete(partition);
    for (const partition of partitions) this.#holders(member.group).set(partition, member);
  }

  holdsExactly(member: Member, partitions: readonly PartitionId[]): boolean {
    const holders = this.#holders(member.group);
    const held = [...holders.values()].filter((holder) => holder === member).length;
    return held === partitions.length && partitions.every((partition) => holders.get(partition) === member);
  }

  #holders(group: string): Map<PartitionId, Member> {
    const holders = this.#heldBy.get(group) ?? new Map<PartitionId, Member>();
    this.#heldBy.set(group, holders);
    return holders;
  }

  changed(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves at the next change or when the signal aborts. */
  wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      this.#waiting.add(done);
    });
  }
}
