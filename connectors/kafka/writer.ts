/** The leader's hand on the log: rows and control records under one producer id, whose epoch no older leader has. */
import { invariant } from '../../src/core/assert.ts';
import type { TableSchema } from '../../src/core/change.ts';
import { asCrossfadeError, type CrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import { logClosed, unknownPartition, writerBroken } from '../../src/core/log-errors.ts';
import type { Append, CompleteRecord, PartitionId, PartitionState, StartRecord, Tail, Writer } from '../../src/core/log-port.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import { type ControlRecord, type ControlState, completeRecords, type PartitionEnd, schemaRecord, startRecord } from './control.ts';
import { encodeControlBatch } from './control-batch.ts';
import type { Producer } from './producer.ts';

/** Plain bytes of one batch: what makes batches dense, and still is little to hold for five of them in each of many partitions. */
const batchBytesMax = 1024 * 1024;
const inFlightBytesMax = 8 * 1024 * 1024;
/**
 * At 1,000 transactions a second on two cores shared with the broker, commit → visible had a p99 of 190 to 320 ms with as many
 * requests as there was time for, and 93 ms with this; the CPU of all is half of it at 200. Behind a rest nothing waits.
 */
const restMs = 20;

export interface WriterParts {
  readonly producer: Producer;
  readonly term: number;
  /** The log's partitions, and their names in Kafka. */
  readonly partitions: ReadonlyMap<PartitionId, PartitionId>;
  /** The one partition of the control topic, in Kafka's names. */
  readonly control: PartitionId;
  /** As read behind the fence. */
  readonly state: ControlState;
  readonly tails: ReadonlyMap<PartitionId, PartitionState>;
  readonly readTail: () => Promise<Tail>;
  readonly codec: Codec;
  readonly now?: () => number;
  readonly close: () => Promise<void>;
}

interface Call {
  left: number;
  readonly resolve: () => void;
  readonly reject: (error: CrossfadeError) => void;
}

export class KafkaWriter implements Writer {
  readonly term: number;
  readonly batchBytesMax = batchBytesMax;
  readonly inFlightBytesMax = inFlightBytesMax;
  readonly restMs = restMs;
  readonly #parts: WriterParts;
  readonly #now: () => number;
  readonly #defined: Set<string>;
  /** Where each partition is behind its last record, of those that grew since the last complete record. */
  readonly #moved = new Map<PartitionId, PartitionEnd>();
  readonly #calls: Call[] = [];
  #started: boolean;
  #closed = false;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.term = parts.term;
    this.#now = parts.now ?? Date.now;
    this.#defined = new Set(parts.state.schemas.keys());
    this.#started = parts.state.start !== undefined;
    for (const [partition, { endOffset, last }] of parts.tails) {
      parts.producer.expect(parts.partitions.get(partition) ?? '', endOffset);
      const known = parts.state.ends.get(partition)?.end ?? 0;
      // An older leader wrote it and did not come to vouch for it.
      if (last && last.offset >= known) this.#moved.set(partition, { end: last.offset + 1, last });
    }
  }

  async tail(): Promise<Tail> {
    this.#throwIfClosed();
    return this.#parts.readTail();
  }

  async append(appends: readonly Append[]): Promise<void> {
    this.#throwIfOver();
    for (const { partition } of appends) if (!this.#parts.partitions.has(partition)) throw this.#ended(unknownPartition(partition));
    faultPoint('log:before-commit');
    await this.#call(appends.length, (done) => {
      for (const append of appends) this.#append(append, done);
    });
  }

  /** Nothing may follow what was not written. */
  #ended(error: CrossfadeError): CrossfadeError {
    this.#parts.producer.end(error);
    return error;
  }

  #append({ partition, batch }: Append, done: Done): void {
    const { producer, partitions, codec } = this.#parts;
    const { count: records, lastVersion: version, lastTransactionId: transactionId } = batch;
    producer.add(partitions.get(partition) ?? '', records, (numbered) => batch.finishLater(codec, 0, numbered), {
      stored: (baseOffset) => {
        const end = baseOffset + records;
        this.#moved.set(partition, { end, last: { offset: end - 1, term: this.term, version, transactionId } });
        done.stored();
      },
      failed: done.failed,
    });
  }

  async start(record: StartRecord): Promise<void> {
    invariant(!this.#started, 'the start record is written once');
    await this.#control([startRecord(this.term, record)]);
    this.#started = true;
  }

  async define(schema: TableSchema): Promise<void> {
    if (this.#defined.has(schema.id)) return;
    await this.#control([schemaRecord(this.term, schema)]);
    this.#defined.add(schema.id);
  }

  async complete(record: Omit<CompleteRecord, 'ends' | 'term'>): Promise<void> {
    // Only what grew is written: ten thousand idle partitions cost nothing.
    const moved = [...this.#moved];
    await this.#control(completeRecords({ ...record, term: this.term }, moved));
    for (const [partition, end] of moved) if (this.#moved.get(partition) === end) this.#moved.delete(partition);
  }

  async #control(records: readonly ControlRecord[]): Promise<void> {
    this.#throwIfOver();
    faultPoint('log:before-commit');
    const { producer, control, codec } = this.#parts;
    await this.#call(1, ({ stored, failed }) => {
      const encode = (numbered: Parameters<typeof encodeControlBatch>[1]) => encodeControlBatch(records, numbered, codec, this.#now());
      producer.add(control, records.length, encode, { stored, failed });
    });
  }

  /** Calls resolve in their order, whatever order the partitions come in; the first failure fails all behind it. */
  async #call(batches: number, add: (done: Done) => void): Promise<void> {
    if (batches === 0 && this.#calls.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const call: Call = { left: batches, resolve, reject };
    this.#calls.push(call);
    const stored = () => {
      call.left -= 1;
      this.#settle();
    };
    try {
      add({ stored, failed: (error) => this.#fail(error) });
    } catch (error) {
      // A part of this call may be on its way already, so nothing may follow it.
      this.#parts.producer.end(asCrossfadeError(error));
      this.#fail(asCrossfadeError(error));
    }
    this.#parts.producer.flush();
    this.#settle();
    await promise;
    faultPoint('log:after-commit');
  }

  #settle(): void {
    while (this.#calls[0]?.left === 0) this.#calls.shift()?.resolve();
  }

  #fail(error: CrossfadeError): void {
    for (const call of this.#calls.splice(0)) call.reject(error);
  }

  #throwIfOver(): void {
    this.#throwIfClosed();
    const { failure } = this.#parts.producer;
    if (failure) throw failure.code === 'LOG_FENCED' ? failure : writerBroken(failure);
  }

  #throwIfClosed(): void {
    if (this.#closed) throw logClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#parts.producer[Symbol.asyncDispose]();
    await this.#parts.close();
  }
}

interface Done {
  readonly stored: () => void;
  readonly failed: (error: CrossfadeError) => void;
}
