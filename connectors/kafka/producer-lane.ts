/**
 * One partition's window of a producer: what was numbered and is not acknowledged yet, in order. A number is never given to
 * other bytes, and after any failure everything from the first unacknowledged batch on goes out again, unchanged.
 */
import { invariant } from '../../src/core/assert.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { numberOf, topicOf } from '../../src/core/partition.ts';

/** The broker remembers so many batches of a producer in each partition; what is further back it cannot tell from a gap. */
const windowBatches = 5;
const sequences = 2 ** 31;

/** Kafka's rule: behind 2^31-1 comes 0. */
export function nextSequence(sequence: number, records: number): number {
  return (sequence + records) % sequences;
}

interface Done {
  /** With the offset of its first record. */
  readonly stored: (baseOffset: number) => void;
  readonly failed: (error: CrossfadeError) => void;
}
export interface Outgoing extends Done {
  readonly bytes: Uint8Array;
  readonly records: number;
}
/** Numbered; its bytes may still be made. */
interface Numbered extends Done {
  bytes: Uint8Array | undefined;
  readonly records: number;
}
const isMade = (batch: Numbered | undefined): batch is Outgoing => batch?.bytes !== undefined;

export class ProducerLane {
  readonly partition: PartitionId;
  readonly topic: string;
  readonly number: number;
  /** The broker that leads it; undefined until asked, and after every failure. */
  node: number | undefined;
  readonly #window: Numbered[] = [];
  #sequence: number;
  #sent = 0;
  #inFlight = 0;
  #halt: CrossfadeError | undefined;
  #failingSinceMs: number | undefined;
  #failures = 0;
  /** Nobody else writes here, so no batch can come to lie below this. */
  #nextOffset = 0;

  constructor(partition: PartitionId, firstSequence = 0) {
    this.partition = partition;
    this.topic = topicOf(partition);
    this.number = numberOf(partition);
    this.#sequence = firstSequence;
  }

  /** Why nothing is sent now; undefined while all is well. */
  get halt(): CrossfadeError | undefined {
    return this.#halt;
  }
  /** How often it has been stopped since something last came through. */
  get failures(): number {
    return this.#failures;
  }
  get ready(): boolean {
    return this.#halt === undefined && this.#sent < windowBatches && isMade(this.#window[this.#sent]);
  }
  /** Halted, and nothing of it is on its way any more: it may be sent again. */
  get settled(): boolean {
    return this.#halt !== undefined && this.#inFlight === 0;
  }

  /** How long nothing has come through; 0 while all is well. `nowMs` is a clock that only goes forward. */
  failingForMs(nowMs: number): number {
    return this.#failingSinceMs === undefined ? 0 : nowMs - this.#failingSinceMs;
  }

  /**
   * Numbers the batch; `encode` gets the number of its first record. What is behind waits for its bytes. Resolves when they are
   * there; undefined where they are at once.
   */
  add(records: number, encode: (sequence: number) => Uint8Array | Promise<Uint8Array>, done: Done): Promise<void> | undefined {
    const bytes = encode(this.#sequence);
    this.#sequence = nextSequence(this.#sequence, records);
    const batch: Numbered = { bytes: undefined, records, ...done };
    this.#window.push(batch);
    if (bytes instanceof Promise) {
      return bytes.then((made) => {
        batch.bytes = made;
      });
    }
    batch.bytes = bytes;
    return undefined;
  }

  /** The next batch to send, without taking it. */
  peek(): Outgoing {
    const batch = this.#window[this.#sent];
    invariant(this.ready && isMade(batch), 'a lane is asked only for what it may send');
    return batch;
  }
  take(): Outgoing {
    const batch = this.peek();
    this.#sent += 1;
    this.#inFlight += 1;
    return batch;
  }

  /** Where the partition ends, as it was read. */
  expect(nextOffset: number): void {
    this.#nextOffset = nextOffset;
  }

  /**
   * Below where the partition ended already: the topic was made anew, or lost its end. A batch would be taken there without a
   * word, whatever its number, since such a partition knows no producer.
   */
  hasLostHistory(baseOffset: number): boolean {
    return baseOffset >= 0 && baseOffset < this.#nextOffset;
  }

  /** The batch is durable. What was stored behind a failure stays in the window: it goes out again and is known as a duplicate. */
  stored(batch: Outgoing, baseOffset: number): void {
    this.#inFlight -= 1;
    if (this.#halt) return;
    invariant(this.#window[0] === batch, 'answers come in the order of the requests');
    this.#window.shift();
    this.#sent -= 1;
    this.#failingSinceMs = undefined;
    this.#failures = 0;
    const offset = baseOffset >= 0 ? baseOffset : this.#nextOffset;
    this.#nextOffset = offset + batch.records;
    batch.stored(offset);
  }

  /** Whether the broker has it is unknown, or it has it not: nothing more is sent until `rewind`. */
  failed(error: CrossfadeError, nowMs: number): void {
    this.#inFlight -= 1;
    // All that was on its way fails with the first: that counts once.
    if (this.#halt === undefined) this.stop(error, nowMs);
  }

  /** The same where nothing was sent: there is no leader, or no way to it. */
  stop(error: CrossfadeError, nowMs: number): void {
    this.#halt ??= error;
    this.#failingSinceMs ??= nowMs;
    this.#failures += 1;
    this.node = undefined;
  }

  rewind(node: number): void {
    invariant(this.settled, 'a window is sent again only when nothing of it is on its way');
    this.#sent = 0;
    this.#halt = undefined;
    this.node = node;
  }

  /** Gives up all of it. */
  abandon(error: CrossfadeError): void {
    for (const batch of this.#window.splice(0)) batch.failed(error);
    this.#sent = 0;
  }
}
