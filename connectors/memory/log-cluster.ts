/**
 * The durable side of the memory log: what would be files or brokers, shared by every instance that opens it. Nothing
 * here reads a clock or waits by time but what is handed in, so a run can be repeated exactly.
 */
import type { TableSchema } from '../../src/core/change.ts';
import { shareOut } from '../../src/core/group-share.ts';
import { partitionsChanged, unknownPartition } from '../../src/core/log-errors.ts';
import { partitionsOf } from '../../src/core/partition.ts';
import type { PartTrouble } from '../../src/core/log-state.ts';
import type { CompleteRecord, PartitionId, PartitionState, RecordPlace, StartRecord, StreamSpec } from '../../src/core/log-port.ts';
import type { Codec, RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';

export interface MemoryLogSettings {
  readonly codec: Codec;
  readonly logId?: string;
  /** For every process that names no limits of its own: one delivery is at least one batch, then no more than this. */
  readonly deliveryBytes?: number;
  readonly deliveryRecords?: number;
  /** 8 MiB. */
  readonly batchBytesMax?: number;
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
  logId: string;
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
  readonly partitions = new Map<PartitionId, StoredPartition>();
  readonly schemas = new Map<string, TableSchema>();
  readonly groups = new Map<string, Map<PartitionId, number>>();
  readonly members = new Map<string, Member>();
  readonly troubles = new Map<string, PartTrouble>();
  readonly waits = new Map<string, Map<PartitionId, number>>();
  startRecord: StartRecord | undefined;
  completeRecord: Omit<CompleteRecord, 'ends'> | undefined;
  term = 0;
  leader: { readonly term: number; readonly owner: MemoryOwner } | undefined;
  readonly #topics = new Map<string, number>();
  /** Per group, the member that claimed each partition last. */
  readonly #heldBy = new Map<string, Map<PartitionId, Member>>();
  readonly #waiting = new Set<() => void>();
  #memberCount = 0;
  #lives = 0;
  #fullAfterWrites: number | undefined;

  constructor(settings: MemoryLogSettings) {
    this.settings = settings;
  }

  /** New streams are made; another number of partitions than the log has throws LOG_PARTITIONS_CHANGED. */
  ensure(streams: readonly StreamSpec[]): void {
    for (const { topic, partitions } of streams) {
      const stored = this.#topics.get(topic);
      if (stored !== undefined && stored !== partitions) throw partitionsChanged(topic, stored, partitions);
      this.#topics.set(topic, partitions);
      for (const id of partitionsOf({ topic, partitions })) if (!this.partitions.has(id)) this.recreate(id);
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

  /**
   * An empty partition under an id of its own: what a topic is that was deleted and made anew under its old name. The last
   * complete record lies elsewhere, and still vouches for the old one.
   */
  recreate(id: PartitionId): void {
    this.#lives += 1;
    const logId = `${this.settings.logId ?? 'memory-log'}-${this.#lives}`;
    const completeOffset = this.partitions.get(id)?.completeOffset ?? 0;
    this.partitions.set(id, { logId, batches: [], startOffset: 0, endOffset: 0, completeOffset, last: undefined });
  }

  /** An offset without a record, as Kafka's transaction markers leave them. */
  gap(partition: PartitionId): void {
    this.partition(partition).endOffset += 1;
    this.changed();
  }

  /** Deletes whole batches below `offset`, as retention would. */
  truncateBelow(partition: PartitionId, offset: number): void {
    const stored = this.partition(partition);
    stored.batches = stored.batches.filter((batch) => batch.nextOffset > offset);
    const kept = stored.batches[0]?.baseOffset ?? stored.endOffset;
    stored.startOffset = Math.max(stored.startOffset, Math.min(kept, offset));
  }

  /** Puts a batch in behind the fence's back, as a frozen leader of a log without one could. */
  plant(partition: PartitionId, batch: RecordBatchBuilder): void {
    const [first] = decodeRecordBatch(batch.finish(this.settings.codec, 0), this.settings.codec, 'what is planted', batch.bytes);
    this.store(this.partition(partition), batch, first?.term ?? 0);
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

  store(partition: StoredPartition, batch: RecordBatchBuilder, term: number): void {
    const baseOffset = partition.endOffset;
    const nextOffset = baseOffset + batch.count;
    const data = Uint8Array.from(batch.finish(this.settings.codec, baseOffset));
    partition.batches.push({ baseOffset, nextOffset, rawBytes: batch.bytes, data });
    partition.endOffset = nextOffset;
    // What a frozen leader of old put in does not count.
    if (term < (partition.last?.term ?? 0)) return;
    partition.last = { offset: nextOffset - 1, term, version: batch.lastVersion, transactionId: batch.lastTransactionId };
  }

  state({ logId, startOffset, endOffset, last }: StoredPartition): PartitionState {
    return { logId, startOffset, endOffset, ...(last && { last }) };
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
