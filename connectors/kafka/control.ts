/**
 * The records of `<pipeline>.control` and what they add up to. The topic is compacted, so its newest record of each key is
 * all there ever was to know; a key is never deleted. A complete record is one batch: the ends that moved, then `complete`.
 */
import type { TableSchema } from '../../src/core/change.ts';
import { corrupt } from '../../src/core/log-errors.ts';
import type { CompleteRecord, PartitionId, RecordPlace, StartRecord } from '../../src/core/log-port.ts';
import type { KeyedRecord } from './compacted.ts';

export interface ControlRecord {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** How far a partition is known: an offset with nothing unknown below it, and the last record there, kept beyond its deletion. */
export interface PartitionEnd {
  readonly end: number;
  readonly last?: RecordPlace | undefined;
}

/** A leadership: written, and durable, before anything else of this term. */
export interface TermRecord {
  readonly term: number;
  readonly who: string;
  readonly sinceMs: number;
}

type CompleteMark = Omit<CompleteRecord, 'ends'>;

const startKey = 'start';
const termKey = 'term';
const completeKey = 'complete';
const schemaPrefix = 'schema:';
const endPrefix = 'end:';
const tailPrefix = 'tail:';

const recordOf = (key: string, term: number, value: object): ControlRecord => ({
  key: Buffer.from(key),
  value: Buffer.from(JSON.stringify({ writtenIn: term, ...value })),
});

/**
 * How a leadership begins, in one batch and before any row: its term, and the partitions' ends as the new leader found them
 * behind its fence, those of empty ones too. So whatever an older leader still adds is known for what it is by its place alone.
 */
export function termRecords(record: TermRecord, tails: Iterable<readonly [PartitionId, PartitionEnd]>): ControlRecord[] {
  const found = [...tails].map(([partition, end]) => recordOf(`${tailPrefix}${partition}`, record.term, end));
  return [...found, recordOf(termKey, record.term, record)];
}

export const startRecord = (term: number, record: StartRecord): ControlRecord => recordOf(startKey, term, record);
export const schemaRecord = (term: number, schema: TableSchema): ControlRecord => recordOf(`${schemaPrefix}${schema.id}`, term, { schema });

/** In this order, and in one batch: a reader never sees a position without the ends that belong to it. */
export function completeRecords(record: CompleteMark, ends: Iterable<readonly [PartitionId, PartitionEnd]>): ControlRecord[] {
  const moved = [...ends].map(([partition, end]) => recordOf(`${endPrefix}${partition}`, record.term, end));
  return [...moved, recordOf(completeKey, record.term, record)];
}

/** What the records so far add up to. A record of a lower term behind a higher one's is a frozen leader's, and none. */
export class ControlState {
  #term = 0;
  #leader: TermRecord | undefined;
  #start: StartRecord | undefined;
  #complete: CompleteMark | undefined;
  readonly #schemas = new Map<string, TableSchema>();
  readonly #ends = new Map<PartitionId, PartitionEnd>();
  readonly #tails = new Map<PartitionId, PartitionEnd>();

  /** The highest term that ever wrote; 0 in a new log. */
  get term(): number {
    return this.#term;
  }
  get leader(): TermRecord | undefined {
    return this.#leader;
  }
  get start(): StartRecord | undefined {
    return this.#start;
  }
  get complete(): CompleteRecord | undefined {
    if (!this.#complete) return undefined;
    return { ...this.#complete, ends: Object.fromEntries([...this.#ends].map(([partition, { end }]) => [partition, end])) };
  }
  get ends(): ReadonlyMap<PartitionId, PartitionEnd> {
    return this.#ends;
  }
  /** What is known of a partition: as complete, and as the newest leader found it. */
  known(partition: PartitionId): readonly PartitionEnd[] {
    return [this.#ends.get(partition), this.#tails.get(partition)].filter((each) => each !== undefined);
  }
  /** Up to where a partition is known: as complete, or as the newest leader found it. */
  floor(partition: PartitionId): PartitionEnd | undefined {
    return this.known(partition).toSorted((one, other) => other.end - one.end)[0];
  }
  get schemas(): ReadonlyMap<string, TableSchema> {
    return this.#schemas;
  }

  /** Records in the order of their offsets. An unknown key is passed over: a later release may write some. */
  replay({ key, value, offset }: KeyedRecord, where: string): void {
    if (value === null) return;
    const { writtenIn, ...content } = parse(value, `${where}@${offset}`);
    if (writtenIn < this.#term) return;
    this.#term = writtenIn;
    if (key === startKey) this.#start ??= content as unknown as StartRecord;
    else if (key === termKey) this.#leader = content as unknown as TermRecord;
    else if (key === completeKey) this.#complete = content as unknown as CompleteMark;
    else if (key.startsWith(tailPrefix)) this.#tails.set(key.slice(tailPrefix.length), content as unknown as PartitionEnd);
    else if (key.startsWith(endPrefix)) this.#ends.set(key.slice(endPrefix.length), content as unknown as PartitionEnd);
    else if (key.startsWith(schemaPrefix)) {
      this.#schemas.set(key.slice(schemaPrefix.length), content['schema'] as TableSchema);
    }
  }
}

function parse(value: Buffer, where: string): { readonly writtenIn: number; readonly [name: string]: unknown } {
  try {
    const content = JSON.parse(value.toString()) as Record<string, unknown>;
    if (typeof content['writtenIn'] === 'number') return { ...content, writtenIn: content['writtenIn'] };
  } catch {
    // Said below: whatever it is, it is not ours.
  }
  throw corrupt(where, 'it is not a control record of ours');
}
