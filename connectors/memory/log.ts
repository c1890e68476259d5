/** The log without a server, for tests and simulations: one cluster object is the durable log, every open one process. */
import type { TableSchema } from '../../src/core/change.ts';
import { logClosed, lostHistory } from '../../src/core/log-errors.ts';
import { partitionsOf } from '../../src/core/partition.ts';
import type { LogState, PartTrouble } from '../../src/core/log-state.ts';
import type { Delivery, Log, LogRecord, Offsets, PartitionId, ReadPlace, ReadPlaces, StreamSpec, Writer } from '../../src/core/log-port.ts';
import type { Finding } from '../../src/core/ports.ts';
import { noPauses, type ReadPauses } from '../../src/core/pauses.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import type { MemoryLogCluster } from './log-cluster.ts';
import { type DeliveryLimits, MemoryCursors } from './log-cursors.ts';
import { MemoryWriter } from './log-writer.ts';

/** A new process on this log. New streams are made; throws LOG_PARTITIONS_CHANGED. */
export function openMemoryLog(cluster: MemoryLogCluster, streams: readonly StreamSpec[], limits: DeliveryLimits = {}): MemoryLog {
  cluster.ensure(streams);
  return new MemoryLog(cluster, streams, limits);
}

export class MemoryLog implements Log {
  readonly partitionIds: readonly PartitionId[];
  readonly #cluster: MemoryLogCluster;
  readonly #limits: DeliveryLimits;
  readonly #closed = new AbortController();

  constructor(cluster: MemoryLogCluster, streams: readonly StreamSpec[], limits: DeliveryLimits) {
    this.#cluster = cluster;
    this.#limits = limits;
    this.partitionIds = streams.flatMap(partitionsOf);
  }

  /** The process is gone: nothing that it had not made durable happens, its lock and its memberships are free at once. */
  crash(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#cluster.expel(this);
    if (this.#cluster.leader?.owner === this) this.#cluster.depose();
  }

  get crashed(): boolean {
    return this.#closed.signal.aborted;
  }

  check(): Promise<readonly Finding[]> {
    return Promise.resolve([]);
  }

  async lead(signal: AbortSignal): Promise<Writer> {
    const either = AbortSignal.any([signal, this.#closed.signal]);
    while (this.#cluster.leader !== undefined && !either.aborted) await this.#cluster.wait(either);
    signal.throwIfAborted();
    this.throwIfClosed();
    this.#cluster.term += 1;
    const writer = new MemoryWriter(this.#cluster, this, this.#cluster.term);
    this.#cluster.leader = writer;
    return writer;
  }

  async *read(
    group: string,
    claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>,
    signal: AbortSignal,
    pauses: ReadPauses = noPauses,
  ): AsyncGenerator<Delivery, void, undefined> {
    const cluster = this.#cluster;
    using _resumed = pauses.onResume(() => cluster.changed());
    const either = AbortSignal.any([signal, this.#closed.signal]);
    let member = cluster.join(group, this);
    let cursors = this.#cursors(new Map());
    let claimed: readonly PartitionId[] | undefined;
    try {
      while (!either.aborted) {
        if (!cluster.members.has(member.id)) {
          member = cluster.join(group, this);
          // What it read until now is somebody else's, also when its new share is empty and there is nothing to claim.
          cursors = this.#cursors(new Map());
          claimed = undefined;
        }
        const share = cluster.share(member);
        if (claimed?.join() !== share.join() || !cluster.holdsExactly(member, share)) {
          cluster.hold(member, share);
          cursors = this.#cursors(new Map());
          claimed = share;
          const from = await claim(share);
          // Whoever took some of it meanwhile may have moved on, and retention with it: then these answers are old.
          if (!cluster.members.has(member.id) || !cluster.holdsExactly(member, share)) continue;
          cursors = this.#cursors(new Map(share.map((partition) => [partition, from.get(partition) ?? logStart])));
          continue;
        }
        const delivery = cursors.next(pauses);
        if (delivery) yield delivery;
        else await cluster.wait(either);
      }
      if (!signal.aborted) throw logClosed();
    } finally {
      cluster.members.delete(member.id);
      cluster.changed();
    }
  }

  async *readFrom(offsets: Offsets, signal: AbortSignal): AsyncGenerator<Delivery, void, undefined> {
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const cursors = this.#cursors(new Map([...offsets].map(([partition, offset]) => [partition, { offset, term: 0 }])));
    while (!either.aborted) {
      const delivery = cursors.next();
      if (delivery) yield delivery;
      else await this.#cluster.wait(either);
    }
    if (!signal.aborted) throw logClosed();
  }

  async at(partition: PartitionId, offset: number): Promise<LogRecord | undefined> {
    this.throwIfClosed();
    const { batches, startOffset } = this.#cluster.partition(partition);
    if (offset < startOffset) throw lostHistory(partition, offset, startOffset);
    const batch = batches.find(({ nextOffset }) => nextOffset > offset);
    if (!batch) return undefined;
    const records = decodeRecordBatch(batch.data, this.#cluster.settings.codec, `${partition}@${batch.baseOffset}`, batch.rawBytes);
    return records.find((record) => record.offset >= offset);
  }

  #cursors(from: ReadPlaces): MemoryCursors {
    const cursors = new MemoryCursors(this.#cluster, this.#limits);
    for (const [partition, place] of from) cursors.start(partition, place);
    return cursors;
  }

  async applied(group: string, offsets: Offsets): Promise<void> {
    this.throwIfClosed();
    const known = this.#cluster.groups.get(group) ?? new Map<PartitionId, number>();
    for (const [partition, offset] of offsets) known.set(partition, offset);
    this.#cluster.groups.set(group, known);
  }

  async waits(group: string, sinceMs: ReadonlyMap<PartitionId, number | undefined>): Promise<void> {
    this.throwIfClosed();
    const known = this.#cluster.waits.get(group) ?? new Map<PartitionId, number>();
    for (const [partition, since] of sinceMs) {
      if (since === undefined) known.delete(partition);
      else known.set(partition, since);
    }
    if (known.size > 0) this.#cluster.waits.set(group, known);
    else this.#cluster.waits.delete(group);
  }

  async forget(group: string): Promise<void> {
    this.throwIfClosed();
    this.#cluster.groups.delete(group);
  }

  async trouble(part: string, trouble: PartTrouble | undefined): Promise<void> {
    this.throwIfClosed();
    if (trouble) this.#cluster.troubles.set(part, trouble);
    else this.#cluster.troubles.delete(part);
  }

  async schema(id: string): Promise<TableSchema | undefined> {
    this.throwIfClosed();
    return this.#cluster.schemas.get(id);
  }

  async state(): Promise<LogState> {
    this.throwIfClosed();
    const { startRecord, leader, groups, members, troubles, waits } = this.#cluster;
    const complete = this.#cluster.complete();
    return {
      partitions: new Map([...this.#cluster.partitions].map(([id, stored]) => [id, this.#cluster.state(stored)])),
      groups: new Map([...groups].map(([group, offsets]) => [group, new Map(offsets)])),
      members: new Map(
        [...Map.groupBy(members.values(), ({ group }) => group)].map(([group, all]) => [
          group,
          all.map(({ id }) => ({ who: id, silentSeconds: 0 })),
        ]),
      ),
      troubles: new Map(troubles),
      waits: new Map([...waits].map(([group, sinceMs]) => [group, new Map(sinceMs)])),
      ...(startRecord && { start: startRecord }),
      ...(complete && { complete }),
      ...(leader && { leader: { who: `term ${leader.term}`, silentSeconds: 0 } }),
    };
  }

  throwIfClosed(): void {
    if (this.#closed.signal.aborted) throw logClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.crash();
  }
}

const logStart: ReadPlace = { offset: 0, term: 0 };
