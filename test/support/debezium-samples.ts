/**
 * What Debezium 3.6.1 wrote for the statements of samples/debezium-samples.sql, and what we write for the same: both in one
 * form, in which times, places and identities of the two servers stand as what they are to each other.
 */
import { readFileSync } from 'node:fs';
import { codec } from '../../src/codec.ts';
import { parseExactJson } from '../../src/core/exact-json.ts';
import { topicOfTable } from '../../src/core/partition.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { readVarint } from '../../src/core/varint.ts';
import { Encoder } from '../../src/runtime/encode.ts';
import { TailFilter } from '../../src/runtime/resume.ts';

const sample = (name: string) => readFileSync(new URL(`./samples/debezium-samples.${name}`, import.meta.url), 'utf8');

export interface Message {
  readonly topic: string;
  readonly offset: number;
  /** As they lie in the topic: JSON text; null is no key, or a tombstone. */
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** By profile: `exact` or `default`. */
export function theirMessages(profile: string): Message[] {
  const lines = sample('jsonl').trim().split('\n');
  const all = lines.map((line) => JSON.parse(line) as Message & { profile: string });
  return all.filter((each) => each.profile === profile).map((message) => ({ ...message, headers: message.headers ?? {} }));
}

/** Before their snapshot, and while they streamed; the database has another name, since servers are shared. */
export function statements(database: string): { readonly setup: readonly string[]; readonly live: readonly string[] } {
  const [, setup = '', live = ''] = sample('sql')
    .replaceAll('golden', database)
    .split(/^-- (?:setup|live)$/m);
  const list = (text: string) =>
    text
      .split(';')
      .map((statement) => statement.trim())
      .filter((statement) => statement !== '');
  return { setup: list(setup), live: list(live) };
}

/** One topic a table, one partition each; in the order of the topics' names, as the samples are. */
export function ourMessages(pipeline: string, changes: readonly RowChange[], renamed: readonly [from: string, to: string]): Message[] {
  const [from, to] = renamed;
  const streams = new Map(
    changes.map(({ schema: { table } }) => [
      `${from}.${table.table}`,
      { topic: topicOfTable(pipeline, { ...table, database: to }), partitions: 1 },
    ]),
  );
  const encoder = new Encoder(pipeline, streams, { term: 1, batchBytesMax: 2 ** 30 }, new TailFilter({ partitions: new Map() }));
  encoder.add(changes, false, Date.now());
  const batches = encoder.take().sort((a, b) => (a.partition < b.partition ? -1 : 1));
  return batches.flatMap(({ partition, batch }) =>
    rawRecords(batch).map((record, offset) => ({
      ...record,
      topic: partition.replace(/#0$/, ''),
      offset,
      value: record.value?.replaceAll(`"${from}"`, `"${to}"`) ?? null,
    })),
  );
}

/** Every header, also those that our own readers pass over. */
function rawRecords(batch: RecordBatchBuilder): Omit<Message, 'topic' | 'offset'>[] {
  const bytes = batch.finish({ ...codec, compress: (plain) => Buffer.concat([plain, plain]) }, 0);
  const cursor = { at: 61 };
  const text = () => {
    const length = readVarint(bytes, cursor);
    const start = cursor.at;
    cursor.at += Math.max(length, 0);
    return length < 0 ? null : Buffer.from(bytes.subarray(start, cursor.at)).toString();
  };
  return Array.from({ length: batch.count }, () => {
    readVarint(bytes, cursor);
    cursor.at += 1;
    for (let skipped = 0; skipped < 2; skipped += 1) readVarint(bytes, cursor);
    const [key, value] = [text(), text()];
    const headers = Object.fromEntries(Array.from({ length: readVarint(bytes, cursor) }, () => [text() ?? '', text() ?? '']));
    return { key, value, headers };
  });
}

/** Path → value of one message; nested objects are walked, arrays are values. */
export type Fields = ReadonlyMap<string, unknown>;

/** Numbers things as they appear: two servers' transactions are the same ones when they are so numbered. */
class Names {
  readonly #known = new Map<unknown, string>();
  of(kind: string, value: unknown): string {
    const known = this.#known.get(value) ?? `${kind} ${this.#known.size + 1}`;
    this.#known.set(value, known);
    return known;
  }
}

/** What differs between any two servers, said in a form that does not. */
export function comparable(messages: readonly Message[]): Map<string, Fields> {
  const transactions = new Names();
  const places = new Names();
  const result = new Map<string, Fields>();
  for (const { topic, offset, key, value, headers } of messages) {
    const fields = new Map<string, unknown>([...flattened('key', parse(key)), ...flattened('value', parse(value))]);
    for (const [name, text] of Object.entries(headers)) fields.set(`header ${name}`, text);
    const gtid = fields.get('value.source.gtid');
    const place = `${String(gtid)} ${String(fields.get('value.source.pos'))}`;
    for (const [path, given] of fields) fields.set(path, relative(path, given, { fields, transactions, places, place }));
    result.set(`${topic}@${offset}`, fields);
  }
  return result;
}

interface Known {
  readonly fields: Fields;
  readonly transactions: Names;
  readonly places: Names;
  readonly place: string;
}

function relative(path: string, given: unknown, { fields, transactions, places, place }: Known): unknown {
  if (given === null) return null;
  switch (path) {
    case 'value.source.gtid':
    case 'value.transaction.id':
      return /^[0-9a-f-]{36}:\d+$/.test(textOf(given)) ? transactions.of('transaction', given) : given;
    case 'value.source.pos':
      return places.of('event', place);
    case 'value.source.file':
      return /^[\w-]*binlog\.\d{6}$/.test(textOf(given)) ? 'a binlog' : given;
    case 'value.source.ts_ms':
      return given === Math.floor(Number(fields.get('value.source.ts_us')) / 1000) ? 'the commit, in ms' : given;
    case 'value.source.ts_us':
      return isMoment(given, 1e6) ? 'the commit, in µs' : given;
    case 'value.source.server_id':
      return Number.isSafeInteger(given) && given !== 0 ? 'the server' : given;
    case 'value.ts_ms':
      return isMoment(given, 1e3) ? 'now, in ms' : given;
    default:
      return given;
  }
}
/** Of this century, in that many parts of a second. */
const isMoment = (given: unknown, parts: number) => Number(given) > 1e9 * parts && Number(given) < 4e9 * parts;

const textOf = (given: unknown) => (typeof given === 'string' ? given : '');

const parse = (text: string | null): unknown => (text === null ? null : parseExactJson(text));

function flattened(path: string, value: unknown): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => flattened(`${path}.${name}`, inner));
}
