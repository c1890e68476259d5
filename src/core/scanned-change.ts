/** A change whose rows are still the log's bytes: values are made when somebody asks, and some sinks never do. */
import type { ChangeEvent, ColumnKind, Row, TableSchema, Value, Version } from './change.ts';
import { type ScannedEnvelope } from './envelope-scanner.ts';
import {
  anyEscape,
  beginMask,
  cellStride,
  codeShift,
  falseCell,
  hasHighBytes,
  integerCell,
  kindMask,
  nullCell,
  numberCell,
  trueCell,
} from './image-scanner.ts';
import type { LogRecord } from './log-port.ts';

/** The bytes behind a change. Column i of its schema is cell `picks[i]` of an image; without picks they are the same. */
export interface ScannedImages {
  readonly bytes: Buffer;
  readonly cells: Int32Array;
  /** Where an image's cells begin; -1: it has none. */
  readonly beforeAt: number;
  readonly afterAt: number;
  readonly picks: Int32Array | undefined;
}

type Origin = Pick<ChangeEvent, 'version' | 'committedAtUs' | 'transactionId'> & { readonly op: ScannedEnvelope['op'] };

/**
 * A ChangeEvent in all but name: the compiler cannot tie `op` to which of the images is there. Its images are its own fields, for
 * there is one of it for every change in hand, and each object more is a tenth of what apply leaves to the collector.
 */
class ScannedChange implements ScannedImages {
  readonly op: ScannedEnvelope['op'];
  readonly schema: TableSchema;
  readonly version: Version;
  readonly committedAtUs: number;
  readonly transactionId: string;
  readonly #bytes: Buffer;
  readonly #cells: Int32Array;
  readonly #beforeAt: number;
  readonly #afterAt: number;
  readonly #picks: Int32Array | undefined;
  #before: Row | undefined;
  #after: Row | undefined;

  constructor(of: Origin, schema: TableSchema, { bytes, cells, beforeAt, afterAt }: Omit<ScannedImages, 'picks'>, picks?: Int32Array) {
    this.op = of.op;
    this.schema = schema;
    this.version = of.version;
    this.committedAtUs = of.committedAtUs;
    this.transactionId = of.transactionId;
    this.#bytes = bytes;
    this.#cells = cells;
    this.#beforeAt = beforeAt;
    this.#afterAt = afterAt;
    this.#picks = picks;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }
  get cells(): Int32Array {
    return this.#cells;
  }
  get beforeAt(): number {
    return this.#beforeAt;
  }
  get afterAt(): number {
    return this.#afterAt;
  }
  get picks(): Int32Array | undefined {
    return this.#picks;
  }

  get before(): Row | undefined {
    return this.#beforeAt < 0 ? undefined : (this.#before ??= rowOf(this.schema, this, this.#beforeAt));
  }

  get after(): Row | undefined {
    return this.#afterAt < 0 ? undefined : (this.#after ??= rowOf(this.schema, this, this.#afterAt));
  }

  static imagesOf(event: object): ScannedImages | undefined {
    return #cells in event ? event : undefined;
  }
}

export function scannedChange(record: LogRecord, schema: TableSchema, found: ScannedEnvelope): ChangeEvent {
  const { op, transactionId } = found;
  const { version, committedAtUs } = record;
  return new ScannedChange({ op, version, committedAtUs, transactionId }, schema, found) as unknown as ChangeEvent;
}

/** The log's bytes behind an event, where they are still its rows. A copy of an event has none: it may have other rows. */
export function imagesOf(event: ChangeEvent): ScannedImages | undefined {
  return ScannedChange.imagesOf(event);
}

/** The same change in another shape: column i is column `columns[i]` of the event's schema. undefined where no bytes are behind it. */
export function reshaped(event: ChangeEvent, schema: TableSchema, columns: Int32Array): ChangeEvent | undefined {
  const images = imagesOf(event);
  if (images === undefined || event.op === 'truncate') return undefined;
  const { picks } = images;
  const composed = picks === undefined ? columns : columns.map((column) => picks[column] as number);
  return new ScannedChange(event, schema, images, composed) as unknown as ChangeEvent;
}

function rowOf({ columns }: TableSchema, images: ScannedImages, base: number): Row {
  const row: Record<string, Value> = {};
  for (let index = 0; index < columns.length; index += 1) {
    const { name, kind } = columns[index] as TableSchema['columns'][number];
    const value = cellValue(kind, images, base + (images.picks === undefined ? index : (images.picks[index] as number)) * cellStride);
    // Assigning to __proto__ would set the prototype, and the column would be gone.
    if (name === '__proto__') Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
    else row[name] = value;
  }
  return row;
}

/** The value of the cell whose place is at `slot`: what row-json.ts reads there. */
export function cellValue(kind: ColumnKind, { bytes, cells }: Pick<ScannedImages, 'bytes' | 'cells'>, slot: number): Value {
  const head = cells[slot] as number;
  const begin = head & beginMask;
  const code = head >>> codeShift;
  const end = cells[slot + 1] as number;
  switch (code & kindMask) {
    case nullCell:
      return null;
    case trueCell:
      return true;
    case falseCell:
      return false;
    case integerCell:
      return integerAt(bytes, begin, end);
    case numberCell:
      return Number(bytes.toString('latin1', begin, end));
    default:
      if ((code & anyEscape) !== 0) return JSON.parse(bytes.toString('utf8', begin - 1, end + 1)) as string;
      if ((code & hasHighBytes) !== 0) return bytes.toString('utf8', begin, end);
      if (kind === 'bytes' || kind === 'bit') return Buffer.from(bytes.toString('latin1', begin, end), 'base64');
      return bytes.toString('latin1', begin, end);
  }
}

function integerAt(bytes: Buffer, begin: number, end: number): number | bigint {
  if (end - begin > 15) {
    const text = bytes.toString('latin1', begin, end);
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : BigInt(text);
  }
  const isNegative = bytes[begin] === 0x2d;
  let number = 0;
  for (let at = isNegative ? begin + 1 : begin; at < end; at += 1) number = number * 10 + (bytes[at] as number) - 0x30;
  return isNegative ? -number : number;
}
