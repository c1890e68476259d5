/**
 * Debezium's JSON change event, written and read. Fields and their order are theirs (debezium 3.6, schemas off); the
 * row images arrive as finished JSON text from the source's decoder and are only copied here.
 */
import type { ChangeEvent, Row, TableSchema } from './change.ts';
import { CrossfadeError } from './errors.ts';
import { parseExactJson } from './exact-json.ts';
import { parseLargeJson } from './large-json.ts';
import type { LogRecord } from './log-port.ts';
import type { RowChange, Transaction } from './source-port.ts';
import { rowReader } from './row-json.ts';

export const connectorVersion = '0.1.0';

const smallBytes = 64 * 1024;
const largeBytes = 8 * 1024 * 1024;
const nullBytes = Buffer.from('null');
const beforePart = Buffer.from('{"before":');
const afterPart = Buffer.from(',"after":');

/** What of an envelope differs between the rows of one transaction. */
export interface EnvelopeOrder {
  /** From 1: the event's number in its transaction, and among those of its table. */
  readonly total: number;
  readonly collection: number;
}

/** Writes values into one scratch buffer; each answer is good until the next call. */
export class EnvelopeWriter {
  readonly #name: string;
  #scratch: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(smallBytes);
  #transaction: Transaction | undefined;
  #schema: TableSchema | undefined;
  #head = '';
  #middle = '';

  constructor(pipeline: string) {
    this.#name = JSON.stringify(pipeline);
  }

  write(change: RowChange, op: 'c' | 'u' | 'd', order: EnvelopeOrder, nowMs: number): Uint8Array {
    if (change.transaction !== this.#transaction || change.schema !== this.#schema) this.#prepare(change);
    const before = (op === 'c' ? null : change.before) ?? nullBytes;
    const after = (op === 'd' ? null : change.after) ?? nullBytes;
    const text = `${this.#head}${change.pos},"row":${change.row}${this.#middle}${order.total},"data_collection_order":${order.collection}},"op":"${op}","ts_ms":${nowMs}}`;
    return this.#assemble(before, after, text);
  }

  /** Debezium's event of a TRUNCATE: no images, and it stands outside the transaction's order. */
  truncate(change: RowChange, nowMs: number): Uint8Array {
    if (change.transaction !== this.#transaction || change.schema !== this.#schema) this.#prepare(change);
    const text = `${this.#head}${change.pos},"row":${change.row}},"transaction":null,"op":"t","ts_ms":${nowMs}}`;
    return this.#assemble(nullBytes, nullBytes, text);
  }

  #assemble(before: Uint8Array, after: Uint8Array, text: string): Uint8Array {
    this.#reserve(beforePart.length + before.length + afterPart.length + after.length + text.length * 3);
    const scratch = this.#scratch;
    let at = beforePart.copy(scratch, 0);
    scratch.set(before, at);
    at += before.length;
    at += afterPart.copy(scratch, at);
    scratch.set(after, at);
    at += after.length;
    at += scratch.write(text, at, 'utf8');
    return scratch.subarray(0, at);
  }

  #prepare({ transaction, schema }: RowChange): void {
    const { database, table } = schema.table;
    const us = transaction.committedAtUs;
    this.#head =
      `,"source":{"version":"${connectorVersion}","connector":"mysql","name":${this.#name},"ts_ms":${Math.floor(us / 1000)},"snapshot":"false",` +
      `"db":${JSON.stringify(database)},"ts_us":${us},"table":${JSON.stringify(table)},"server_id":${transaction.serverId},` +
      `"gtid":${JSON.stringify(transaction.gtid)},"file":${JSON.stringify(transaction.file)},"pos":`;
    this.#middle = `},"transaction":{"id":${JSON.stringify(transaction.id)},"total_order":`;
    this.#transaction = transaction;
    this.#schema = schema;
  }

  #reserve(bytes: number): void {
    if (bytes > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(bytes > largeBytes ? bytes : bytes * 2);
  }

  /** The last answer was used: a huge one gives its memory back now, and is not left to the next collection of garbage. */
  done(): void {
    if (this.#scratch.length <= largeBytes) return;
    this.#scratch.buffer.transfer(0);
    this.#scratch = Buffer.allocUnsafeSlow(smallBytes);
  }
}

const operations = { c: 'insert', u: 'update', d: 'delete', r: 'read', t: 'truncate' } as const;

/** One record back into a change; a tombstone is undefined. `where` names partition and offset for messages. */
export function readEnvelope(record: LogRecord, schema: TableSchema, where: string): ChangeEvent | undefined {
  if (record.value === null) return undefined;
  const value = parseEnvelope(record.value, where);
  const op = operations[value['op'] as keyof typeof operations];
  const read = rowReader(schema);
  const row = (name: 'before' | 'after'): Row => {
    const image = value[name];
    const answer = isObject(image) ? read(image) : undefined;
    if (answer === undefined) throw invalid(where, `"${name}" does not hold the columns of schema ${schema.id}`);
    return answer;
  };
  const common = { schema, version: record.version, committedAtUs: record.committedAtUs, transactionId: transactionOf(value) };
  switch (op) {
    case 'insert':
    case 'read':
      return { op, after: row('after'), ...common };
    case 'update':
      return { op, before: row('before'), after: row('after'), ...common };
    case 'delete':
      return { op, before: row('before'), ...common };
    case 'truncate':
      return { op, ...common };
    default:
      throw invalid(where, '"op" is not one of c, u, d, r, t');
  }
}

function parseEnvelope(bytes: Uint8Array, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = bytes.length > largeBytes ? parseLargeJson(bytes) : parseExactJson(utf8(bytes));
  } catch {
    throw invalid(where, 'its value is not JSON');
  }
  if (!isObject(value)) throw invalid(where, 'its value is not an object');
  return value;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws TypeError. The fast way writes U+FFFD for what is no UTF-8; where one turns up, the strict one says whose it is. */
function utf8(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text.includes('\ufffd') ? strictUtf8.decode(bytes) : text;
}

/** The transaction of an envelope, without decoding its rows: for the tail of a partition. A TRUNCATE names only its GTID. */
function transactionOf(value: Record<string, unknown>): string {
  const { transaction, source } = value;
  const id = isObject(transaction) ? transaction['id'] : isObject(source) ? source['gtid'] : undefined;
  return typeof id === 'string' ? id : '';
}

export function transactionIdOf(record: LogRecord, where: string): string {
  return record.value === null ? '' : transactionOf(parseEnvelope(record.value, where));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(where: string, what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'ENVELOPE_INVALID',
    fault: 'fatal',
    message: `the record at ${where} is not a change event of ours: ${what}`,
    remedy:
      'Somebody else wrote to the log, or it was written by an incompatible release. Nothing after this record was applied; see the runbook.',
  });
}
