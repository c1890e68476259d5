/** Changes through the form of the log and back, as apply reads them, and each compared with what the parser says of it. */
import { inspect, isDeepStrictEqual } from 'node:util';
import { codec } from '../../src/codec.ts';
import { tableName, type ChangeEvent, type TableSchema } from '../../src/core/change.ts';
import { readEnvelope } from '../../src/core/envelope.ts';
import type { LogRecord } from '../../src/core/log-port.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { imagesOf } from '../../src/core/scanned-change.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { Batches } from '../../src/runtime/apply-batch.ts';
import { Encoder } from '../../src/runtime/encode.ts';
import { TailFilter } from '../../src/runtime/resume.ts';

const everything = 1024 ** 3;

export interface Logged {
  /** As apply hands them to a sink: rows are the log's bytes wherever they can be scanned. */
  readonly applied: readonly ChangeEvent[];
  /** The same changes read by the parser, which apply falls back to. */
  readonly parsed: readonly ChangeEvent[];
}

/** All are of one shape. Throws where the two readings differ in anything. */
export async function throughLog(schema: TableSchema, changes: readonly RowChange[]): Promise<Logged> {
  const routing = new Map([[tableName(schema.table), { topic: 'typed', partitions: 1 }]]);
  const encoder = new Encoder('typed', routing, { term: 1, batchBytesMax: everything }, new TailFilter({ partitions: new Map() }));
  encoder.add(changes, false, 1);
  const logged: { applied: ChangeEvent[]; parsed: ChangeEvent[] } = { applied: [], parsed: [] };
  for (const { batch, partition } of encoder.take()) {
    const records = decodeRecordBatch(batch.finish(codec, 0), codec, partition);
    const rows = records.filter(({ value }) => value !== null);
    logged.applied.push(...(await asApplied(schema, partition, rows)));
    logged.parsed.push(...rows.flatMap((record) => readEnvelope(record, schema, `${partition}, offset ${record.offset}`) ?? []));
  }
  if (logged.applied.length !== logged.parsed.length) throw new Error('the two readings of the log have not as many changes');
  for (const [index, applied] of logged.applied.entries()) same(applied, logged.parsed[index] as ChangeEvent);
  return logged;
}

/** Those whose rows are bytes, and the others: one of these in a batch lets a sink read all of the batch by the parser. */
export function byReading(events: readonly ChangeEvent[]): readonly [scanned: ChangeEvent[], others: ChangeEvent[]] {
  return [events.filter((event) => imagesOf(event) !== undefined), events.filter((event) => imagesOf(event) === undefined)];
}

async function asApplied(schema: TableSchema, partition: string, records: readonly LogRecord[]): Promise<ChangeEvent[]> {
  const mappings = [{ source: schema.table, transforms: [], target: '', options: {} }];
  const batches = new Batches({ mappings, mappingHash: () => '' }, { schema: async () => schema });
  await batches.lookUpShapes(partition, records);
  return batches.runs(records).flatMap((run) => batches.entriesOf(partition, run).map(({ event }) => event));
}

function same(applied: ChangeEvent, parsed: ChangeEvent): void {
  if (isDeepStrictEqual(partsOf(applied), partsOf(parsed))) return;
  for (const image of ['before', 'after'] as const) {
    const [is, should] = [partsOf(applied)[image], partsOf(parsed)[image]];
    for (const { name, type } of applied.schema.columns)
      if (!isDeepStrictEqual(is?.[name], should?.[name]))
        throw new Error(`${type}: read as bytes it is ${inspect(is?.[name])}, parsed it is ${inspect(should?.[name])}`);
  }
  throw new Error(`a change of ${applied.schema.table.table} differs in what stands beside its rows`);
}

const partsOf = (event: ChangeEvent) => {
  const { op, version, committedAtUs, transactionId } = event;
  const before = 'before' in event ? event.before : undefined;
  const after = 'after' in event ? event.after : undefined;
  return { op, version, committedAtUs, transactionId, before, after };
};
