/**
 * Our own idempotent producer over kafkajs's connections: kafkajs's loses acknowledged rows after a lost answer. Batches are
 * numbered once and sent again unchanged until the broker has them, at most five a partition, many partitions in one request.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { invariant } from '../../src/core/assert.ts';
import { asCrossfadeError, type CrossfadeError } from '../../src/core/errors.ts';
import { logClosed } from '../../src/core/log-errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { partitionId } from '../../src/core/partition.ts';
import type { Logger } from '../../src/core/ports.ts';
import { withinLimit } from './batch-limit.ts';
import type { KafkaCluster } from './cluster.ts';
import { codeError, connectionLost, endLost, isPassing, noLeader, recordTooLarge, topicReplaced } from './errors.ts';
import { type Outgoing, ProducerLane } from './producer-lane.ts';
import { ProducerLink } from './producer-link.ts';
import type { TopicMetadata } from './requests/metadata.ts';
import { type ProduceAnswer, produceRequest } from './requests/produce.ts';
import type { ProducerIdentity } from './requests/transactions.ts';

/** In milliseconds; tests make them small. */
export interface ProducerTiming {
  /** How long the leader may wait for its replicas. */
  readonly replicas: number;
  /** How long we wait for the leader; then its connection is dropped. */
  readonly answer: number;
  /** Without anything stored in a failing partition for so long, the producer ends with what it last ran into. */
  readonly giveUp: number;
  /** A topic that the cluster has not known for so long is gone. */
  readonly topicGone: number;
}
const defaultProducerTiming: ProducerTiming = { replicas: 10_000, answer: 15_000, giveUp: 30_000, topicGone: 5000 };

export interface ProducerParts {
  readonly cluster: KafkaCluster;
  readonly identity: ProducerIdentity;
  /** In Kafka's names. */
  readonly partitions: readonly PartitionId[];
  /** The life of each topic that is written to; in another one there is nothing to go on from. */
  readonly topicIds: ReadonlyMap<string, string>;
  readonly logger: Logger;
  readonly timing?: Partial<ProducerTiming> | undefined;
  /** For tests: where the numbering begins. */
  readonly firstSequence?: number | undefined;
}

export interface NumberedProducer extends ProducerIdentity {
  readonly sequence: number;
}
type Done = Pick<Outgoing, 'stored' | 'failed'>;
/** May take another thread's time; the order is that of the numbers all the same. */
type Encode = (producer: NumberedProducer) => Uint8Array | Promise<Uint8Array>;

/** A request takes no further partition along beyond this. A broker takes 100 MB at most. */
const requestBytes = 4 * 1024 * 1024;
/** By how often a partition has failed in a row. */
const pausesMs = [0, 50, 100, 200, 400, 800];
const metadataDeadlineMs = 5000;
const duplicate = 46;
const outOfOrder = 45;
const noSuchTopic = 3;
const tooLarge: ReadonlySet<number> = new Set([10, 18]);

export class Producer implements AsyncDisposable {
  readonly #parts: ProducerParts;
  readonly #timing: ProducerTiming;
  readonly #lanes: ReadonlyMap<PartitionId, ProducerLane>;
  readonly #ready = new Set<ProducerLane>();
  readonly #halted = new Set<ProducerLane>();
  readonly #links = new Map<number, ProducerLink>();
  readonly #over = new AbortController();
  #failure: CrossfadeError | undefined;
  #recovering = false;
  #troubled = false;

  constructor(parts: ProducerParts) {
    this.#parts = parts;
    this.#timing = { ...defaultProducerTiming, ...parts.timing };
    this.#lanes = new Map(parts.partitions.map((partition) => [partition, new ProducerLane(partition, parts.firstSequence)]));
  }

  /** What ended it; nothing can be written any more. */
  get failure(): CrossfadeError | undefined {
    return this.#failure;
  }

  /**
   * Numbers the batch now, and in this order for its partition; `done` hears once when it is durable, with the offset of its
   * first record, or that nobody knows. `flush` sends it.
   */
  add(partition: PartitionId, records: number, encode: Encode, done: Done): void {
    const lane = this.#lanes.get(partition);
    invariant(lane, `${partition} is not among the partitions of this producer`);
    if (this.#failure) return done.failed(this.#failure);
    const { identity } = this.#parts;
    const made = lane.add(records, (sequence) => withinLimit(encode({ ...identity, sequence }), partition), done);
    if (made === undefined) this.#ready.add(lane);
    else void this.#addLater(lane, made);
  }

  async #addLater(lane: ProducerLane, made: Promise<void>): Promise<void> {
    try {
      await made;
    } catch (error) {
      return this.end(asCrossfadeError(error));
    }
    if (!lane.ready) return;
    this.#ready.add(lane);
    this.flush();
  }

  /** Where a partition ends, as it was read behind the fence: LOG_LOST_HISTORY when a batch comes to lie below. */
  expect(partition: PartitionId, nextOffset: number): void {
    this.#lanes.get(partition)?.expect(nextOffset);
  }

  /** Sends whatever may be sent now. */
  flush(): void {
    if (this.#failure) return;
    const byNode = new Map<number, ProducerLane[]>();
    for (const lane of this.#ready) {
      const { node } = lane;
      if (!lane.ready) this.#ready.delete(lane);
      else if (node === undefined) this.#halt(lane, noLeader(lane.partition));
      else if (byNode.has(node)) byNode.get(node)?.push(lane);
      else byNode.set(node, [lane]);
    }
    for (const [node, lanes] of byNode) this.#sendTo(node, lanes);
  }

  #sendTo(node: number, lanes: readonly ProducerLane[]): void {
    const link = this.#linkTo(node);
    if (!link.open) return link.connect();
    for (let left = lanes; left.length > 0; left = left.filter((lane) => lane.ready)) {
      let bytes = 0;
      const parts: { lane: ProducerLane; batch: Outgoing }[] = [];
      for (const lane of left) {
        if (parts.length > 0 && bytes + lane.peek().bytes.length > requestBytes) continue;
        const batch = lane.take();
        bytes += batch.bytes.length;
        parts.push({ lane, batch });
      }
      void this.#send(link, parts);
    }
  }

  #linkTo(node: number): ProducerLink {
    const known = this.#links.get(node);
    if (known) return known;
    const link = new ProducerLink(this.#parts.cluster, node, this.#over.signal, {
      opened: () => this.flush(),
      failed: (error) => {
        for (const lane of this.#ready) if (lane.node === node) this.#halt(lane, error);
      },
    });
    this.#links.set(node, link);
    return link;
  }

  async #send(link: ProducerLink, parts: readonly { readonly lane: ProducerLane; readonly batch: Outgoing }[]): Promise<void> {
    const { replicas, answer } = this.#timing;
    const batches = parts.map(({ lane: { topic, number }, batch: { bytes } }) => ({ topic, partition: number, bytes }));
    try {
      const answers = await link.send(produceRequest(batches, replicas), answer);
      const byPartition = new Map(answers.map((each) => [partitionId(each.topic, each.partition), each]));
      for (const { lane, batch } of parts) this.#answered(lane, batch, byPartition.get(lane.partition));
    } catch (thrown) {
      const error = asCrossfadeError(thrown);
      for (const { lane } of parts) this.#failed(lane, error);
    }
    this.flush();
  }

  #answered(lane: ProducerLane, batch: Outgoing, answer: ProduceAnswer | undefined): void {
    if (this.#failure) return;
    if (!answer) return this.#failed(lane, connectionLost(lane.partition));
    const { errorCode, baseOffset } = answer;
    if (tooLarge.has(errorCode)) return this.end(recordTooLarge(lane.partition, batch.bytes.length));
    if (errorCode !== 0 && errorCode !== duplicate) return this.#failed(lane, codeError(errorCode, 'Produce', lane.partition), errorCode);
    if (errorCode === 0 && lane.hasLostHistory(baseOffset)) return this.end(endLost(lane.partition, baseOffset));
    lane.stored(batch, errorCode === 0 ? baseOffset : -1);
    if (lane.ready) this.#ready.add(lane);
    else if (lane.settled) void this.#recover();
    if (this.#troubled && this.#halted.size === 0) {
      this.#troubled = false;
      this.#parts.logger.info({ partition: lane.partition }, 'the log takes changes again');
    }
  }

  #failed(lane: ProducerLane, error: CrossfadeError, code?: number): void {
    if (this.#failure) return;
    // Behind one that failed the numbers cannot fit: that is no news.
    const follows = code === outOfOrder && lane.halt !== undefined;
    if (!follows && !isPassing(error)) return this.end(error);
    this.#tell(lane, error);
    lane.failed(error, performance.now());
    this.#toRecover(lane);
  }

  /** Nothing of it could be sent at all. */
  #halt(lane: ProducerLane, error: CrossfadeError): void {
    if (!isPassing(error)) return this.end(error);
    // A partition that has written nothing yet is only asked for its leader.
    if (lane.failures > 0 || lane.node !== undefined) this.#tell(lane, error);
    lane.stop(error, performance.now());
    this.#toRecover(lane);
  }

  #tell({ partition }: ProducerLane, { code, message }: CrossfadeError): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#parts.logger.warn({ partition, code, reason: message }, 'the log does not take changes; they are sent again, unchanged');
  }

  #toRecover(lane: ProducerLane): void {
    this.#ready.delete(lane);
    this.#halted.add(lane);
    void this.#recover();
  }

  /** One for all: asks who leads now, and then the windows go out again in order. */
  async #recover(): Promise<void> {
    if (this.#recovering) return;
    this.#recovering = true;
    try {
      for (;;) {
        const settled = [...this.#halted].filter((lane) => lane.settled);
        if (settled.length === 0 || this.#failure) return;
        await this.#rest(settled);
        await this.#findLeaders(settled);
        this.flush();
      }
    } catch (error) {
      if (!this.#failure) this.end(asCrossfadeError(error));
    } finally {
      this.#recovering = false;
    }
  }

  async #rest(lanes: readonly ProducerLane[]): Promise<void> {
    const failures = Math.min(...lanes.map((lane) => lane.failures)) - 1;
    const pauseMs = pausesMs[Math.min(failures, pausesMs.length - 1)] ?? 0;
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: this.#over.signal });
  }

  async #findLeaders(lanes: readonly ProducerLane[]): Promise<void> {
    const topics = [...new Set(lanes.map(({ topic }) => topic))];
    let known: ReadonlyMap<string, TopicMetadata>;
    try {
      const metadata = await this.#parts.cluster.metadata(topics, { deadlineMs: metadataDeadlineMs, signal: this.#over.signal });
      known = new Map(metadata.topics.map((topic) => [topic.topic, topic]));
    } catch (thrown) {
      const error = asCrossfadeError(thrown);
      for (const lane of lanes) this.#stillHalted(lane, error);
      return;
    }
    for (const lane of lanes) this.#leaderOf(lane, known.get(lane.topic));
  }

  #leaderOf(lane: ProducerLane, metadata: TopicMetadata | undefined): void {
    const { topic, partition } = lane;
    if (!metadata || metadata.errorCode === noSuchTopic) return this.#topicMissing(lane);
    if (metadata.errorCode !== 0) return this.#stillHalted(lane, codeError(metadata.errorCode, 'Metadata', topic));
    if (metadata.topicId !== this.#parts.topicIds.get(topic)) return this.end(topicReplaced(topic));
    const leader = metadata.partitions.find((each) => each.partition === lane.number)?.leader ?? -1;
    if (leader < 0) return this.#stillHalted(lane, noLeader(partition));
    if (lane.failingForMs(performance.now()) > this.#timing.giveUp && lane.halt) return this.end(lane.halt);
    this.#halted.delete(lane);
    lane.rewind(leader);
    this.#ready.add(lane);
  }

  #topicMissing(lane: ProducerLane): void {
    if (lane.failingForMs(performance.now()) > this.#timing.topicGone) return this.end(topicReplaced(lane.topic));
    this.#stillHalted(lane, noLeader(lane.partition));
  }

  #stillHalted(lane: ProducerLane, error: CrossfadeError): void {
    if (this.#failure) return;
    const nowMs = performance.now();
    if (!isPassing(error) || lane.failingForMs(nowMs) > this.#timing.giveUp) return this.end(error);
    this.#tell(lane, error);
    lane.stop(error, nowMs);
  }

  /** Gives up everything that is not durable yet; nothing can be added any more. */
  end(error: CrossfadeError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#over.abort();
    for (const link of this.#links.values()) link.drop();
    for (const lane of this.#lanes.values()) lane.abandon(error);
    this.#ready.clear();
    this.#halted.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end(logClosed());
  }
}
