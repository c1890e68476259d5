/**
 * The last record of each partition that counts. Control knows it up to the last complete record, or as the newest leader
 * found it; what lies behind is looked at from the end backwards, a batch at a time: only the newest term's records count there.
 */
import { transactionIdOf } from '../../src/core/envelope.ts';
import type { LogRecord, PartitionId, PartitionState, RecordPlace } from '../../src/core/log-port.ts';
import { numberOf, partitionId, topicOf } from '../../src/core/partition.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import type { KafkaCluster } from './cluster.ts';
import type { ControlState } from './control.ts';
import { codeError } from './errors.ts';
import type { PartitionRange, Ranges } from './ranges.ts';
import { splitRecordSet, type StoredBatch } from './record-set.ts';
import { fetchRequest } from './requests/fetch.ts';
import type { TopicNames } from './topic-names.ts';

const partitionBytesMax = 1024 * 1024;
const requestBytesMax = 8 * 1024 * 1024;

/** One partition on the way back from its end. */
interface Walk {
  readonly partition: PartitionId;
  readonly range: PartitionRange;
  /** The offset to look at next. */
  at: number;
  /** Behind what control knows. */
  readonly from: number;
  readonly known: RecordPlace | undefined;
  /** Found already, but it is a tombstone: its transaction stands in the record before it. */
  tombstone: LogRecord | undefined;
}

export class Tails {
  readonly #cluster: KafkaCluster;
  readonly #codec: Codec;
  readonly #names: TopicNames;
  /** An idle partition is looked at once. */
  readonly #seen = new Map<PartitionId, { readonly topicId: string; readonly end: number; readonly last: RecordPlace | undefined }>();

  constructor(cluster: KafkaCluster, codec: Codec, names: TopicNames) {
    this.#cluster = cluster;
    this.#codec = codec;
    this.#names = names;
  }

  /** `ranges` by Kafka's names, the answer by ours. */
  async states(ranges: Ranges, control: ControlState): Promise<Map<PartitionId, PartitionState>> {
    const lasts = new Map<PartitionId, RecordPlace | undefined>();
    const walks: Walk[] = [];
    for (const [partition, range] of ranges) {
      const { end: from = 0, last: known } = control.floor(this.#names.stream(partition)) ?? {};
      const seen = this.#seen.get(partition);
      if (range.endOffset <= from) lasts.set(partition, known);
      else if (seen?.topicId === range.topicId && seen.end === range.endOffset) lasts.set(partition, seen.last);
      else walks.push({ partition, range, at: range.endOffset - 1, from, known, tombstone: undefined });
    }
    await this.#walk(walks, control.term, (walk, last) => {
      lasts.set(walk.partition, last);
      this.#seen.set(walk.partition, { topicId: walk.range.topicId, end: walk.range.endOffset, last });
    });
    return new Map(
      [...ranges].map(([partition, { topicId, startOffset, endOffset }]) => {
        const last = lasts.get(partition);
        return [this.#names.stream(partition), { logId: topicId, startOffset, endOffset, ...(last && { last }) }];
      }),
    );
  }

  async #walk(walks: readonly Walk[], term: number, found: (walk: Walk, last: RecordPlace | undefined) => void): Promise<void> {
    let open = [...walks];
    while (open.length > 0) {
      const next: Walk[] = [];
      const looking: Walk[] = [];
      for (const walk of open) {
        if (walk.at >= Math.max(walk.from, walk.range.servedFrom)) looking.push(walk);
        else found(walk, walk.tombstone ? placeOf(walk.tombstone, '') : walk.known);
      }
      const batches = await this.#cluster.retrying(() => this.#fetch(looking));
      const unserved: Walk[] = [];
      for (const walk of looking) {
        const batch = batches.get(walk.partition);
        if (!batch) unserved.push(walk);
        else {
          const last = this.#step(walk, batch, term);
          if (last) found(walk, last);
          else next.push(walk);
        }
      }
      // The broker cuts its answer where it is full; whoever got nothing comes first the next time.
      open = [...unserved, ...next];
    }
  }

  /** The place, once it is known; else `walk` has moved back behind this batch. */
  #step(walk: Walk, batch: StoredBatch, term: number): RecordPlace | undefined {
    const { partition } = walk;
    if (batch.baseOffset > walk.at) {
      walk.at -= 1;
      return undefined;
    }
    walk.at = batch.baseOffset - 1;
    if (batch.control) return undefined;
    const where = `${partition}@${batch.baseOffset}`;
    const records = decodeRecordBatch(batch.bytes, this.#codec, where).filter((record) => record.term >= term);
    const last = walk.tombstone ?? records.at(-1);
    if (!last) return undefined;
    const named = last.value === null ? records.findLast(({ value, offset }) => value !== null && offset < last.offset) : last;
    if (named) return placeOf(last, transactionIdOf(named, where));
    walk.tombstone = last;
    return undefined;
  }

  async #fetch(walks: readonly Walk[]): Promise<Map<PartitionId, StoredBatch>> {
    const byNode = new Map<number, Walk[]>();
    for (const walk of walks) {
      const node = await this.#cluster.leaderOf(walk.partition);
      const led = byNode.get(node);
      if (led) led.push(walk);
      else byNode.set(node, [walk]);
    }
    const found = await Promise.all([...byNode].map(([node, led]) => this.#fetchFrom(node, led)));
    return new Map(found.flat());
  }

  async #fetchFrom(node: number, walks: readonly Walk[]): Promise<(readonly [PartitionId, StoredBatch])[]> {
    const topics = new Map(walks.map(({ partition, range }) => [range.topicId, topicOf(partition)]));
    const at = new Map(walks.map((walk) => [walk.partition, walk.at]));
    const places = walks.map(({ partition, range, at: offset }) => {
      return { topicId: range.topicId, partition: numberOf(partition), offset, bytesMax: partitionBytesMax };
    });
    const answers = await this.#cluster.send({ node }, fetchRequest(places, { waitMs: 0, bytesMax: requestBytesMax }), { lane: 'look' });
    const found: (readonly [PartitionId, StoredBatch])[] = [];
    for (const { topicId, partition: number, errorCode, records } of answers) {
      const partition = partitionId(topics.get(topicId) ?? '', number);
      if (errorCode !== 0) {
        this.#cluster.forget({ leaderOf: partition });
        throw codeError(errorCode, 'Fetch', partition);
      }
      const [batch] = splitRecordSet(records, partition, at.get(partition) ?? 0);
      if (batch) found.push([partition, batch]);
    }
    return found;
  }
}

const placeOf = ({ offset, term, version }: LogRecord, transactionId: string): RecordPlace => ({ offset, term, version, transactionId });
