/** Kafka as the log: topics that anybody can read, written by one leader, shared by the members of each service's group. */
import type { TableSchema } from '../../src/core/change.ts';
import { logClosed, unknownPartition } from '../../src/core/log-errors.ts';
import type { Delivery, Log, LogRecord, Offsets, PartitionId, ReadPlaces, Tail, Writer } from '../../src/core/log-port.ts';
import type { LogState, PartTrouble } from '../../src/core/log-state.ts';
import { partitionId, partitionsOf, topicOf } from '../../src/core/partition.ts';
import { noPauses, type ReadPauses } from '../../src/core/pauses.ts';
import type { Finding } from '../../src/core/ports.ts';
import { topicsMade } from './await-topics.ts';
import { checkKafkaLog } from './check.ts';
import { KafkaCluster } from './cluster.ts';
import { CompactedReader } from './compacted-reader.ts';
import type { KafkaSettings } from './config.ts';
import { ControlState } from './control.ts';
import { Cursors, type CursorParts } from './cursors.ts';
import { Election } from './election.ts';
import { clientId, lookAtGroups } from './group-look.ts';
import { commitFromOutside, deleteGroup } from './group-outside.ts';
import { GroupReader, kafkaPauses } from './group-reader.ts';
import { Notes } from './notes.ts';
import type { RequestOptions } from './link.ts';
import { existingTopics, type Ranges, readRanges, withoutMarkers } from './ranges.ts';
import { recordAt } from './record-at.ts';
import { defaultDelivery, defaultTiming, type KafkaLogOptions, type Timing } from './settings.ts';
import { takeOver } from './takeover.ts';
import { Tails } from './tails.ts';
import { TopicNames } from './topic-names.ts';
import { comparePartitions, controlTopics, ensureTopics, rowTopics } from './topics.ts';
import { Wakeup } from './wakeup.ts';
import type { KafkaWriter } from './writer.ts';

/** Connects to nothing yet: that is done by the first call that needs it. */
export function openKafkaLog(settings: KafkaSettings, options: KafkaLogOptions): Promise<Log> {
  return Promise.resolve(new KafkaLog(settings, options));
}

const longestWaitMs = 1000;

class KafkaLog implements Log {
  readonly #settings: KafkaSettings;
  readonly #options: KafkaLogOptions;
  readonly #timing: Timing;
  readonly #names: TopicNames;
  readonly #cluster: KafkaCluster;
  readonly #control: CompactedReader<ControlState>;
  readonly #notes: Notes;
  readonly #tails: Tails;
  readonly #partitions: ReadonlySet<PartitionId>;
  readonly #closed = new AbortController();
  readonly #writers = new Set<KafkaWriter>();
  /** By the service that it reads for. */
  readonly #readers = new Map<GroupReader, string>();

  constructor(settings: KafkaSettings, options: KafkaLogOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#names = new TopicNames(options.pipeline, settings.prefix);
    this.#cluster = new KafkaCluster(settings, { clientId: clientId(), logger: options.logger, stop: options.stop });
    const { codec } = options;
    this.#control = new CompactedReader({
      cluster: this.#cluster,
      codec,
      topic: this.#names.control,
      empty: () => new ControlState(),
      replay: (state, record, where) => state.replay(record, where),
    });
    this.#notes = new Notes(this.#cluster, this.#names, settings, codec);
    this.#tails = new Tails(this.#cluster, codec, this.#names);
    this.#partitions = new Set(options.streams.flatMap(partitionsOf));
  }

  check(): Promise<readonly Finding[]> {
    this.#throwIfClosed();
    return checkKafkaLog({
      cluster: this.#cluster,
      names: this.#names,
      settings: this.#settings,
      options: this.#options,
      control: () => this.#control.look(),
    });
  }

  async lead(signal: AbortSignal): Promise<Writer> {
    await this.#compare(signal);
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const { logger, codec, streams } = this.#options;
    const control = partitionId(this.#names.control, 0);
    const election = new Election({
      cluster: this.#cluster,
      group: this.#names.captureGroup,
      partitions: [control],
      timing: this.#timing,
      logger,
    });
    try {
      const wanted = [...rowTopics(this.#names, streams), ...controlTopics(this.#names)];
      const waiting = { signal: either, deadlineMs: this.#timing.newTopics };
      // A new group waits for more members, 3 s by default: meanwhile is done what needs no lead, by the brokers too.
      this.#cluster.foresee({ coordinator: 'transaction', key: this.#names.transactionalId });
      const early = Promise.allSettled([ensureTopics(this.#cluster, wanted, this.#settings, waiting).then(() => this.#control.look())]);
      await election.won(either, () => logger.info({}, 'another capture leads, standing by'));
      await early;
      comparePartitions(this.#names, streams, await ensureTopics(this.#cluster, wanted, this.#settings, waiting));
      const writer: KafkaWriter = await takeOver(
        {
          cluster: this.#cluster,
          transactionalId: this.#names.transactionalId,
          partitions: new Map([...this.#partitions].map((partition) => [partition, this.#names.partition(partition)])),
          control,
          codec,
          logger,
          who: clientId(),
          readControl: () => this.#control.look(),
          readTails: async (state) => this.#tails.states(await this.#ranges(state), state),
          readTail: () => this.#tail(),
          lost: election.lost,
          close: async () => {
            this.#writers.delete(writer);
            await election[Symbol.asyncDispose]();
          },
        },
        either,
      );
      election.leads(writer.term);
      this.#writers.add(writer);
      return writer;
    } catch (error) {
      await election[Symbol.asyncDispose]();
      signal.throwIfAborted();
      throw this.#closed.signal.aborted ? logClosed() : error;
    }
  }

  async *read(
    group: string,
    claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>,
    signal: AbortSignal,
    pauses: ReadPauses = noPauses,
  ): AsyncGenerator<Delivery, void, undefined> {
    this.#throwIfClosed();
    const { logger, streams } = this.#options;
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const awaited = { cluster: this.#cluster, names: this.#names, streams, logger, patienceMs: this.#timing.newTopics };
    const reader = new GroupReader({
      names: this.#names,
      membership: {
        cluster: this.#cluster,
        group: this.#names.group(group),
        partitions: [...this.#partitions].map((partition) => this.#names.partition(partition)),
        timing: this.#timing,
        logger,
      },
      cursors: this.#cursorParts(kafkaPauses(pauses, this.#names), group),
      made: () => topicsMade(awaited, either),
      claim,
      signal: either,
    });
    this.#readers.set(reader, group);
    try {
      yield* reader.deliveries();
      this.#throwIfClosedBy(signal);
    } catch (error) {
      throw this.#closed.signal.aborted && !signal.aborted ? logClosed() : error;
    } finally {
      this.#readers.delete(reader);
      await reader[Symbol.asyncDispose]();
    }
  }

  async *readFrom(offsets: Offsets, signal: AbortSignal): AsyncGenerator<Delivery, void, undefined> {
    await this.#compare(signal);
    for (const partition of offsets.keys()) this.#nameOf(partition);
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const wakeup = new Wakeup();
    const places = new Map([...offsets].map(([partition, offset]) => [this.#names.partition(partition), { offset, term: 0 }]));
    const parts = { ...this.#cursorParts(noPauses), arrived: () => wakeup.wake() };
    using cursors = await Cursors.open(parts, places, either);
    while (!either.aborted) {
      await wakeup.turn();
      const delivery = cursors.next();
      if (delivery) yield { ...delivery, partition: this.#names.stream(delivery.partition) };
      else await wakeup.wait(longestWaitMs, either);
    }
    this.#throwIfClosedBy(signal);
  }

  async at(partition: PartitionId, offset: number): Promise<LogRecord | undefined> {
    await this.#compare();
    const name = this.#nameOf(partition);
    const range = (await this.#rangesOf([topicOf(name)])).get(name);
    return range && recordAt(this.#cluster, this.#options.codec, name, offset, range);
  }

  async applied(group: string, offsets: Offsets): Promise<void> {
    this.#throwIfClosed();
    for (const [reader, service] of this.#readers) if (service === group) return reader.applied(offsets);
    const named = new Map([...offsets].map(([partition, offset]) => [this.#names.partition(partition), offset]));
    await commitFromOutside(this.#cluster, this.#names.group(group), named);
  }

  waits(group: string, sinceMs: ReadonlyMap<PartitionId, number | undefined>): Promise<void> {
    this.#throwIfClosed();
    return this.#notes.waits(group, sinceMs);
  }

  /** While the service reads, the brokers keep its offsets: then a note tells everybody that they count no more. */
  async forget(group: string): Promise<void> {
    this.#throwIfClosed();
    if (!(await deleteGroup(this.#cluster, this.#names.group(group)))) await this.#notes.forget(group, Date.now());
  }

  trouble(part: string, trouble: PartTrouble | undefined): Promise<void> {
    this.#throwIfClosed();
    return this.#notes.trouble(part, trouble);
  }

  async schema(id: string): Promise<TableSchema | undefined> {
    this.#throwIfClosed();
    // A definition never changes: what was read once needs no look.
    return this.#control.known.schemas.get(id) ?? (await this.#control.look()).schemas.get(id);
  }

  async state(): Promise<LogState> {
    await this.#compare();
    // Control comes first: what it vouches for is in the partitions by then.
    const control = await this.#control.look();
    const { start, complete, term, leader: last } = control;
    const partitions = await this.#tails.states(await this.#ranges(control), control);
    const { troubles, waits, forgotten } = await this.#notes.look();
    const { offsets, members, leader } = await lookAtGroups(this.#cluster, this.#names, forgotten, last?.who);
    return {
      partitions,
      groups: offsets,
      members,
      troubles: new Map(troubles),
      waits: new Map([...waits].map(([service, since]) => [service, new Map(since)])),
      ...(start && { start }),
      ...(complete && { complete }),
      ...(leader !== undefined && { leader: { who: `${leader}, term ${term}`, silentSeconds: 0 } }),
    };
  }

  async #tail(): Promise<Tail> {
    const control = await this.#control.look();
    const partitions = await this.#tails.states(await this.#ranges(control), control);
    const { start, complete } = control;
    return { partitions, ...(start && { start }), ...(complete && { complete }) };
  }

  #ranges(control: ControlState): Promise<Ranges> {
    return this.#rangesOf(this.#topics, {}, control);
  }

  async #rangesOf(topics: readonly string[], options: RequestOptions = {}, control?: ControlState): Promise<Ranges> {
    const known = control ?? (await this.#control.look());
    return withoutMarkers(await readRanges(this.#cluster, topics, options), (partition) => known.known(this.#names.stream(partition)));
  }

  get #topics(): string[] {
    return this.#options.streams.map(({ topic }) => this.#names.topic(topic));
  }

  /** Throws where the log was made with other partitions; topics that are not there yet are no difference. */
  async #compare(signal?: AbortSignal): Promise<void> {
    this.#throwIfClosed();
    const found = await this.#cluster.retrying(() => existingTopics(this.#cluster, this.#topics, { signal }), { signal });
    comparePartitions(this.#names, this.#options.streams, found);
  }

  #cursorParts(pauses: ReadPauses, service?: string): Omit<CursorParts, 'arrived'> {
    const { fetchWait: fetchWaitMs, outage: outageMs } = this.#timing;
    const limits = { ...defaultDelivery, ...this.#options.delivery };
    const { logger } = this.#options;
    const leaderless = { logger, tell: service === undefined ? () => undefined : this.#notes.teller(`apply ${service}`, logger) };
    const ranges = (topics: readonly string[], options: RequestOptions) => this.#rangesOf(topics, options);
    return { cluster: this.#cluster, pauses, fetchWaitMs, outageMs, leaderless, ranges, codec: this.#options.codec, limits };
  }

  #nameOf(partition: PartitionId): PartitionId {
    if (!this.#partitions.has(partition)) throw unknownPartition(partition);
    return this.#names.partition(partition);
  }

  #throwIfClosed(): void {
    if (this.#closed.signal.aborted) throw logClosed();
  }

  #throwIfClosedBy(signal: AbortSignal): void {
    if (!signal.aborted) throw logClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    // A reader whose consumer never comes back must not keep its partitions until it expires.
    await Promise.all([...this.#writers, ...this.#readers.keys()].map((part) => part[Symbol.asyncDispose]()));
    await this.#cluster[Symbol.asyncDispose]();
  }
}
