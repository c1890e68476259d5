/** Debezium's JSON change event, read. Whoever wrote it: what envelope-writer.ts writes, and the same fields in another order. */
import type { ChangeEvent, Row, TableSchema } from './change.ts';
import { CrossfadeError } from './errors.ts';
import { parseExactJson } from './exact-json.ts';
import { parseLargeJson } from './large-json.ts';
import type { LogRecord } from './log-port.ts';
import { rowReader } from './row-json.ts';

const largeBytes = 8 * 1024 * 1024;

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
