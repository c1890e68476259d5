/**
 * Reads ahead: one request in flight to each broker, for all partitions that it leads and that have room, while the
 * consumer works. Bounded in bytes. Heals what passes by itself, and says what does not through `failure`.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asCrossfadeError, type CrossfadeError } from '../../src/core/errors.ts';
import { aheadOfLog, corrupt, lostHistory } from '../../src/core/log-errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { numberOf, partitionId, topicOf } from '../../src/core/partition.ts';
import type { ReadPauses } from '../../src/core/pauses.ts';
import type { KafkaCluster } from './cluster.ts';
import { codeError, topicReplaced } from './errors.ts';
import type { FetchQueue } from './fetch-queue.ts';
import { Leaderless, type LeaderlessParts } from './leaderless.ts';
import { existingTopics, type Ranges } from './ranges.ts';
import type { RequestOptions } from './link.ts';
import { splitRecordSet } from './record-set.ts';
import { type FetchedPartition, fetchRequest } from './requests/fetch.ts';

export interface FetcherParts {
  readonly cluster: KafkaCluster;
  readonly pauses: ReadPauses;
  readonly fetchWaitMs: number;
  readonly outageMs: number;
  readonly leaderless: LeaderlessParts;
  readonly ranges: (topics: readonly string[], options: RequestOptions) => Promise<Ranges>;
  /** Something came, or failed. */
  readonly arrived: () => void;
}

const bufferBytesMax = 8 * 1024 * 1024;
const requestBytesMax = 4 * 1024 * 1024;
const partitionBytesMax = 2 * 1024 * 1024;
/** Below this more is fetched. */
const lowBytes = 1024 * 1024;
/** After a look in vain at some, while others have a backlog. */
const restMs = 20;
const firstPauseMs = 50;
const longestPauseMs = 500;
/** So long a topic may be unknown that was there before: a broker that just started learns of topics late. */
const goneMs = 5000;
const outOfRange = 1;
const corruptMessage = 2;

export class Fetcher implements Disposable {
  readonly #parts: FetcherParts;
  readonly #closed = new AbortController();
  /** A connection of its own: a fetch that waits holds up all behind it. */
  readonly #lane = `fetch ${randomUUID()}`;
  /** In order of service by the brokers: whoever was served last is last. */
  readonly #queues = new Map<PartitionId, FetchQueue>();
  readonly #topicIds: Map<string, string>;
  readonly #busy = new Set<number>();
  readonly #restsUntilMs = new Map<number, number>();
  readonly #leaderless: Leaderless;
  /** Since when a topic that was there is unknown to the brokers. */
  readonly #unknownSinceMs = new Map<string, number>();
  #finding = false;
  #pauseMs = firstPauseMs;
  /** Since when nothing has worked. */
  #badSinceMs: number | undefined;
  #failure: CrossfadeError | undefined;

  /** `topicIds`: the lives of the topics that these queues belong to, as far as they exist. */
  constructor(parts: FetcherParts, queues: readonly FetchQueue[], topicIds: ReadonlyMap<string, string>) {
    this.#parts = parts;
    this.#topicIds = new Map(topicIds);
    this.#leaderless = new Leaderless(parts.leaderless);
    for (const queue of queues) this.#queues.set(queue.partition, queue);
  }

  /** What a person, or the loop around this reader, has to deal with. */
  get failure(): CrossfadeError | undefined {
    return this.#failure;
  }

  /** Asks for whatever there is room for; called whenever there may be more of it. */
  poke(): void {
    if (this.#closed.signal.aborted || this.#failure) return;
    const byLeader = new Map<number, { readonly wanted: FetchQueue[]; full: number }>();
    let buffered = 0;
    for (const queue of this.#queues.values()) {
      const rests = this.#parts.pauses.has(queue.partition);
      if (rests && queue.bytes > 0) queue.rewind();
      buffered += queue.bytes;
      if (rests) continue;
      const led = byLeader.get(queue.leader) ?? { wanted: [], full: 0 };
      byLeader.set(queue.leader, led);
      if (queue.bytes < lowBytes) led.wanted.push(queue);
      else led.full += 1;
    }
    for (const [node, { wanted, full }] of byLeader) {
      if (node < 0) void this.#findLeaders();
      else if (wanted.length > 0 && buffered < bufferBytesMax && !this.#busy.has(node)) {
        // While one has no room and so is not asked for, nobody may wait at the broker: it may have room at any time.
        if (full === 0) void this.#fetch(node, wanted, this.#parts.fetchWaitMs);
        else if ((this.#restsUntilMs.get(node) ?? 0) <= performance.now()) void this.#fetch(node, wanted, 0);
      }
    }
  }

  async #fetch(node: number, queues: readonly FetchQueue[], waitMs: number): Promise<void> {
    this.#busy.add(node);
    try {
      const { cluster } = this.#parts;
      const partitions = queues.map(({ partition, fetchOffset }) => ({
        topicId: this.#topicIds.get(topicOf(partition)) ?? '',
        partition: numberOf(partition),
        offset: fetchOffset,
        bytesMax: partitionBytesMax,
      }));
      const request = fetchRequest(partitions, { waitMs, bytesMax: requestBytesMax });
      const answers = await cluster.send({ node }, request, { lane: this.#lane, signal: this.#closed.signal });
      const came = await this.#take(answers);
      if (!came && waitMs === 0) this.#rest(node);
    } catch (error) {
      this.#suffer(error, queues);
    } finally {
      this.#busy.delete(node);
    }
    this.poke();
  }

  /** Whether anything came. */
  async #take(answers: readonly FetchedPartition[]): Promise<boolean> {
    const topics = new Map([...this.#topicIds].map(([topic, id]) => [id, topic]));
    let came = false;
    const troubled: { readonly queue: FetchQueue; readonly code: number }[] = [];
    for (const { topicId, partition: number, errorCode, endOffset, records } of answers) {
      const queue = this.#queues.get(partitionId(topics.get(topicId) ?? '', number));
      if (!queue) continue;
      if (errorCode !== 0) {
        troubled.push({ queue, code: errorCode });
        continue;
      }
      queue.endOffset = endOffset;
      if (records.length === 0 || this.#parts.pauses.has(queue.partition)) continue;
      const batches = splitRecordSet(records, queue.partition, queue.fetchOffset);
      if (batches.length === 0) continue;
      queue.push(batches);
      came = true;
      this.#queues.delete(queue.partition);
      this.#queues.set(queue.partition, queue);
    }
    if (came) this.#parts.arrived();
    if (troubled.length === 0) this.#well();
    for (const { queue, code } of troubled) await this.#judge(queue, code);
    return came;
  }

  /** One partition's error: a wrong place is decided here, everything else means that its leader is to be found anew. */
  async #judge(queue: FetchQueue, code: number): Promise<void> {
    const { partition, fetchOffset } = queue;
    if (code === corruptMessage) throw corrupt(`${partition}@${fetchOffset}`, 'the broker says that a batch is damaged');
    if (code === outOfRange) {
      const range = (await this.#parts.ranges([topicOf(partition)], { signal: this.#closed.signal })).get(partition);
      if (range && fetchOffset < range.startOffset) throw lostHistory(partition, fetchOffset, range.startOffset);
      if (range && fetchOffset < range.servedFrom) return queue.passOver(range.servedFrom);
      if (range && fetchOffset > range.endOffset) throw aheadOfLog(partition, fetchOffset, range.endOffset);
    }
    this.#suffer(codeError(code, 'Fetch', partition), [queue]);
  }

  /** Finds who leads those of whom nobody is known; waits for topics that nobody has created yet. */
  async #findLeaders(): Promise<void> {
    if (this.#finding) return;
    this.#finding = true;
    try {
      if (this.#badSinceMs !== undefined) await this.#pause();
      const homeless = [...this.#queues.values()].filter(({ leader }) => leader < 0);
      const topics = [...new Set(homeless.map(({ partition }) => topicOf(partition)))];
      const found = await existingTopics(this.#parts.cluster, topics, { signal: this.#closed.signal });
      for (const topic of topics) this.#recognise(topic, found.get(topic)?.topicId);
      const leaders = new Map<PartitionId, number>();
      for (const queue of homeless) {
        const known = found.get(topicOf(queue.partition));
        queue.leader = known?.partitions.find(({ partition }) => partition === numberOf(queue.partition))?.leader ?? -1;
        if (known) leaders.set(queue.partition, queue.leader);
      }
      this.#leaderless.looked(leaders);
      if (homeless.some(({ leader }) => leader < 0)) await this.#pause();
    } catch (error) {
      this.#suffer(error, []);
    } finally {
      this.#finding = false;
    }
    this.poke();
  }

  #recognise(topic: string, topicId: string | undefined): void {
    const known = this.#topicIds.get(topic);
    if (topicId !== undefined && known !== undefined && known !== topicId) throw topicReplaced(topic);
    if (topicId !== undefined) {
      this.#topicIds.set(topic, topicId);
      this.#unknownSinceMs.delete(topic);
    } else if (known !== undefined) {
      // From the first such answer on: an outage before it says nothing of the topic.
      const sinceMs = this.#unknownSinceMs.get(topic) ?? performance.now();
      this.#unknownSinceMs.set(topic, sinceMs);
      if (performance.now() - sinceMs > goneMs) throw topicReplaced(topic);
    }
  }

  /** What passes is waited out, with leaders found anew; what does not, or lasts too long, ends this reader. */
  #suffer(error: unknown, queues: readonly FetchQueue[]): void {
    if (this.#closed.signal.aborted) return;
    const ours = asCrossfadeError(error);
    this.#badSinceMs ??= performance.now();
    if (ours.fault !== 'retry' || performance.now() - this.#badSinceMs > this.#parts.outageMs) {
      this.#failure = ours;
      this.#parts.arrived();
      return;
    }
    for (const queue of queues) queue.leader = -1;
  }

  #well(): void {
    this.#badSinceMs = undefined;
    this.#pauseMs = firstPauseMs;
  }

  #rest(node: number): void {
    this.#restsUntilMs.set(node, performance.now() + restMs);
    setTimeout(() => this.poke(), restMs + 1).unref();
  }

  async #pause(): Promise<void> {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    await sleep(pauseMs, undefined, { signal: this.#closed.signal }).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    this.#leaderless[Symbol.dispose]();
    // With it goes a fetch that still waits at the broker.
    this.#parts.cluster.release(this.#lane);
  }
}
