/**
 * Debezium's JSON change event, written: fields and their order are theirs (debezium 3.6, schemas off). The row images arrive
 * as finished JSON text from the source's decoder and are only copied, straight to where the record lies.
 */
import type { TableSchema } from './change.ts';
import type { ValueWriter } from './record-batch.ts';
import type { RowChange, Transaction } from './source-port.ts';

export const connectorVersion = '0.1.0';

/** What of an envelope differs between the rows of one transaction. */
export interface EnvelopeOrder {
  /** From 1: the event's number in its transaction, and among those of its table. */
  readonly total: number;
  readonly collection: number;
}

const nullImage = Buffer.from('null');
const beforePart = Buffer.from('{"before":');
const afterPart = Buffer.from(',"after":');
const rowPart = Buffer.from(',"row":');
const collectionPart = Buffer.from(',"data_collection_order":');
const fixedBytes = beforePart.length + afterPart.length + rowPart.length + collectionPart.length;

type RowOp = 'c' | 'u' | 'd';

/** Holds one change at a time: `length` bytes, which `copyTo` writes. Good until the next `hold`. */
export class EnvelopeWriter implements ValueWriter {
  /** Texts that stay the same for the pipeline, the table and the file. */
  readonly #sourceStart: string;
  #database = '';
  #table = '';
  #file: string | undefined;
  #fileJson = '';
  #transaction: Transaction | undefined;
  #schema: TableSchema | undefined;
  #head: Uint8Array = nullImage;
  #middle: Uint8Array = nullImage;
  readonly #headText = new ReusedText();
  readonly #middleText = new ReusedText();
  #nowMs = -1;
  #tails: Readonly<Record<RowOp, Buffer>> = { c: nullImage, u: nullImage, d: nullImage };
  #before: Uint8Array = nullImage;
  #after: Uint8Array = nullImage;
  #tail: Buffer = nullImage;
  #pos = 0;
  #row = 0;
  #total = 0;
  #collection = 0;
  length = 0;

  constructor(pipeline: string) {
    this.#sourceStart = `,"source":{"version":"${connectorVersion}","connector":"mysql","name":${JSON.stringify(pipeline)},"ts_ms":`;
  }

  hold(change: RowChange, op: RowOp, total: number, collection: number, nowMs: number): this {
    if (change.transaction !== this.#transaction || change.schema !== this.#schema) this.#prepare(change);
    if (nowMs !== this.#nowMs) this.#timed(nowMs);
    this.#before = (op === 'c' ? null : change.before) ?? nullImage;
    this.#after = (op === 'd' ? null : change.after) ?? nullImage;
    this.#tail = this.#tails[op];
    this.#pos = change.pos;
    this.#row = change.row;
    this.#total = total;
    this.#collection = collection;
    const images = this.#before.length + this.#after.length;
    const texts = this.#head.length + this.#middle.length + this.#tail.length + fixedBytes;
    this.length = images + texts + digits(change.pos) + digits(change.row) + digits(total) + digits(collection);
    return this;
  }

  copyTo(target: Uint8Array, start: number): number {
    let at = put(target, start, beforePart);
    target.set(this.#before, at);
    at = put(target, at + this.#before.length, afterPart);
    target.set(this.#after, at);
    at += this.#after.length;
    target.set(this.#head, at);
    at = putNumber(target, at + this.#head.length, this.#pos);
    at = putNumber(target, put(target, at, rowPart), this.#row);
    target.set(this.#middle, at);
    at = putNumber(target, at + this.#middle.length, this.#total);
    at = putNumber(target, put(target, at, collectionPart), this.#collection);
    target.set(this.#tail, at);
    return at + this.#tail.length;
  }

  /** The same in memory of its own. */
  write(change: RowChange, op: RowOp, { total, collection }: EnvelopeOrder, nowMs: number): Uint8Array {
    return this.hold(change, op, total, collection, nowMs).bytes();
  }

  bytes(): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(this.length);
    this.copyTo(bytes, 0);
    return bytes;
  }

  /** Debezium's event of a TRUNCATE: no images, and it stands outside the transaction's order. */
  truncate(change: RowChange, nowMs: number): Uint8Array {
    if (change.transaction !== this.#transaction || change.schema !== this.#schema) this.#prepare(change);
    const end = `${change.pos},"row":${change.row}},"transaction":null,"op":"t","ts_ms":${nowMs}}`;
    return Buffer.concat([beforePart, nullImage, afterPart, nullImage, this.#head, Buffer.from(end)]);
  }

  #prepare({ transaction, schema }: RowChange): void {
    if (schema !== this.#schema) this.#describe(schema);
    if (transaction.file !== this.#file) this.#nameFile(transaction.file);
    const us = transaction.committedAtUs;
    const id = JSON.stringify(transaction.id);
    const gtid = transaction.gtid === transaction.id ? id : JSON.stringify(transaction.gtid);
    this.#head = this.#headText.of(
      `${this.#sourceStart}${Math.floor(us / 1000)}${this.#database}${us}${this.#table}${transaction.serverId},"gtid":${gtid}${this.#fileJson}`,
    );
    this.#middle = this.#middleText.of(`},"transaction":{"id":${id},"total_order":`);
    this.#transaction = transaction;
    this.#schema = schema;
  }

  #describe({ table: { database, table } }: TableSchema): void {
    this.#database = `,"snapshot":"false","db":${JSON.stringify(database)},"ts_us":`;
    this.#table = `,"table":${JSON.stringify(table)},"server_id":`;
  }

  #nameFile(file: string): void {
    this.#file = file;
    this.#fileJson = `,"file":${JSON.stringify(file)},"pos":`;
  }

  #timed(nowMs: number): void {
    const tail = (op: RowOp) => Buffer.from(`},"op":"${op}","ts_ms":${nowMs}}`);
    this.#tails = { c: tail('c'), u: tail('u'), d: tail('d') };
    this.#nowMs = nowMs;
  }
}

/** The bytes of one text after the other, in memory that is used again: views are made only where the length changes. */
class ReusedText {
  #room: Buffer = Buffer.allocUnsafeSlow(512);
  #bytes: Buffer = this.#room.subarray(0, 0);

  of(text: string): Buffer {
    // A character takes three bytes at most.
    if (text.length * 3 > this.#room.length) this.#room = Buffer.allocUnsafeSlow(text.length * 4);
    const length = this.#room.write(text, 0);
    if (length !== this.#bytes.length || this.#bytes.buffer !== this.#room.buffer) this.#bytes = this.#room.subarray(0, length);
    return this.#bytes;
  }
}

/** A call of `set` costs more than so few bytes one by one. */
function put(target: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index += 1) target[at + index] = bytes[index] as number;
  return at + bytes.length;
}

/** Of a whole number that is not negative. */
function digits(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  let count = 2;
  for (let rest = value; rest >= 100; rest = Math.floor(rest / 10)) count += 1;
  return count;
}

function putNumber(target: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    target[at] = 48 + value;
    return at + 1;
  }
  const end = at + digits(value);
  let rest = value;
  for (let place = end - 1; place >= at; place -= 1) {
    const next = Math.floor(rest / 10);
    target[place] = 48 + (rest - next * 10);
    rest = next;
  }
  return end;
}
