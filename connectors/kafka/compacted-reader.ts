/** Follows a compacted topic of one partition: each look reads what came since the last one, up to the topic's end. */
import { corrupt } from '../../src/core/log-errors.ts';
import { partitionId } from '../../src/core/partition.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import type { KafkaCluster } from './cluster.ts';
import { decodeCompacted, type KeyedRecord } from './compacted.ts';
import { codeError } from './errors.ts';
import { existingTopics } from './ranges.ts';
import { splitRecordSet } from './record-set.ts';
import { fetchRequest } from './requests/fetch.ts';

export interface CompactedParts<State> {
  readonly cluster: KafkaCluster;
  readonly topic: string;
  readonly codec: Codec;
  /** The state of a topic that holds nothing. */
  readonly empty: () => State;
  readonly replay: (state: State, record: KeyedRecord, where: string) => void;
}

const bytesMax = 4 * 1024 * 1024;
const outOfRange = 1;

export class CompactedReader<State> {
  readonly #parts: CompactedParts<State>;
  #topicId: string | undefined;
  #offset = 0;
  #state: State;
  #looking: Promise<State> | undefined;
  #again: Promise<State> | undefined;

  constructor(parts: CompactedParts<State>) {
    this.#parts = parts;
    this.#state = parts.empty();
  }

  /** As of the last look. */
  get known(): State {
    return this.#state;
  }

  /** What the topic adds up to now. A topic that is not there holds nothing, and is not made. */
  look(): Promise<State> {
    // A look that has begun may have missed what its caller wrote: everybody who comes meanwhile shares the next one.
    if (this.#looking) return (this.#again ??= this.#looking.then(ignore, ignore).then(() => this.#begin()));
    return this.#begin();
  }

  #begin(): Promise<State> {
    this.#again = undefined;
    const { cluster } = this.#parts;
    const looking = cluster
      .retrying(() => this.#readOn())
      .finally(() => {
        if (this.#looking === looking) this.#looking = undefined;
      });
    this.#looking = looking;
    return looking;
  }

  async #readOn(): Promise<State> {
    const { cluster, topic } = this.#parts;
    const known = (await existingTopics(cluster, [topic])).get(topic);
    if (known?.topicId !== this.#topicId) this.#forget(known?.topicId);
    if (known === undefined) return this.#state;
    const where = partitionId(topic, 0);
    for (;;) {
      const place = { topicId: known.topicId, partition: 0, offset: this.#offset, bytesMax };
      const [answer] = await cluster.send({ leaderOf: where }, fetchRequest([place], { waitMs: 0, bytesMax }), { lane: 'look' });
      if (!answer) throw corrupt(where, 'it was not in the answer');
      if (answer.errorCode === outOfRange && this.#offset > 0) {
        this.#forget(known.topicId);
        continue;
      }
      if (answer.errorCode !== 0) {
        cluster.forget({ leaderOf: where });
        throw codeError(answer.errorCode, 'Fetch', where);
      }
      this.#replay(answer.records, where);
      if (this.#offset >= answer.endOffset || answer.records.length === 0) return this.#state;
    }
  }

  #replay(records: Buffer, where: string): void {
    const { codec, replay } = this.#parts;
    for (const batch of splitRecordSet(records, where, this.#offset)) {
      for (const record of decodeCompacted(batch, codec, where)) if (record.offset >= this.#offset) replay(this.#state, record, where);
      this.#offset = batch.nextOffset;
    }
  }

  #forget(topicId: string | undefined): void {
    this.#topicId = topicId;
    this.#offset = 0;
    this.#state = this.#parts.empty();
  }
}

const ignore = () => undefined;
