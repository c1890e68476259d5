/** Log records → batches of a sink: shapes looked up, envelopes read, transforms applied. */
import { invariant } from '../core/assert.ts';
import { type ChangeEvent, type TableSchema, tableName } from '../core/change.ts';
import { readEnvelope } from '../core/envelope.ts';
import { type EnvelopeScanner, envelopeScanner } from '../core/envelope-scanner.ts';
import { CrossfadeError } from '../core/errors.ts';
import type { Log, LogRecord, PartitionId } from '../core/log-port.ts';
import { partitionsOf, topicOf } from '../core/partition.ts';
import { isTombstone, scanValue } from '../core/record-batch-reader.ts';
import { scannedChange } from '../core/scanned-change.ts';
import type { Entry, Mapping, SinkBatch } from '../core/sink-port.ts';
import { shapeRuns } from './shape-runs.ts';

export interface BatchParts {
  readonly mappings: readonly Mapping[];
  /** Digest of the mappings behind a partition: progress made under others is not ours. */
  readonly mappingHash: (partition: PartitionId) => string;
}

/** What records of one shape have in common here. */
interface Shape {
  readonly schemaId: string;
  readonly schema: TableSchema;
  readonly scanner: EnvelopeScanner | undefined;
  /** By number. */
  readonly mappings: readonly number[];
}

interface RunContent {
  readonly entries: readonly Entry[];
  /** Of the last change. */
  readonly transactionId: string;
}

export class Batches {
  readonly #parts: BatchParts;
  readonly #log: Pick<Log, 'schema'>;
  readonly #byTable = new Map<string, readonly number[]>();
  readonly #schemas = new Map<string, TableSchema>();
  readonly #shapes = new Map<string, Shape>();
  readonly #contents = new WeakMap<readonly LogRecord[], RunContent>();

  constructor(parts: BatchParts, log: Pick<Log, 'schema'>) {
    this.#parts = parts;
    this.#log = log;
    for (const [index, { source }] of parts.mappings.entries()) {
      const name = tableName(source);
      this.#byTable.set(name, [...(this.#byTable.get(name) ?? []), index]);
    }
  }

  /** Before anything else is asked about these records. */
  async lookUpShapes(partition: PartitionId, records: readonly LogRecord[]): Promise<void> {
    let known = '';
    for (const record of records) {
      const { schemaId } = record;
      if (schemaId === known) continue;
      if (!this.#schemas.has(schemaId)) await this.#lookUp(schemaId, partition, record.offset);
      known = schemaId;
    }
  }

  /** What can be folded together, in order. */
  runs(records: readonly LogRecord[]): LogRecord[][] {
    return shapeRuns(records, this.#schemas);
  }

  /** A run's changes behind their transforms; found once, however often it is asked. */
  entriesOf(partition: PartitionId, run: readonly LogRecord[]): readonly Entry[] {
    return this.#contentOf(partition, run).entries;
  }

  /** One run as one batch. */
  of(partition: PartitionId, logId: string, run: readonly LogRecord[], nextOffset: number): SinkBatch {
    const { entries, transactionId } = this.#contentOf(partition, run);
    const last = run.at(-1);
    invariant(last !== undefined, 'a run has records');
    const { offset: lastOffset, term, version, committedAtUs, barrier } = last;
    const place = { logId, nextOffset, lastOffset, term, version };
    const progress = { ...place, transactionId, committedAtUs, mappingHash: this.#parts.mappingHash(partition) };
    const batch = { partition, entries, progress, open: last.open };
    // Of a table that nobody maps here a TRUNCATE has nothing to do, and no partition needs to wait for another.
    if (barrier === undefined || entries.length === 0) return batch;
    return { ...batch, barrier: partitionsOf({ topic: topicOf(partition), partitions: barrier }) };
  }

  #contentOf(partition: PartitionId, run: readonly LogRecord[]): RunContent {
    let content = this.#contents.get(run);
    if (content === undefined) {
      const entries: Entry[] = [];
      let transactionId = '';
      let shape: Shape | undefined;
      for (const record of run) {
        if (isTombstone(record)) continue;
        if (record.schemaId !== shape?.schemaId) shape = this.#shapeOf(record.schemaId);
        const event = eventOf(record, shape, partition);
        transactionId = event.transactionId;
        this.#transform(event, shape.mappings, entries);
      }
      this.#contents.set(run, (content = { entries, transactionId }));
    }
    return content;
  }

  #transform(event: ChangeEvent, mappings: readonly number[], entries: Entry[]): void {
    for (const mapping of mappings) {
      const transforms = this.#parts.mappings[mapping]?.transforms ?? [];
      if (transforms.length === 0) {
        entries.push({ mapping, event });
        continue;
      }
      let events: readonly ChangeEvent[] = [event];
      for (const transform of transforms) {
        events = events.length === 1 ? transform.change(events[0] as ChangeEvent) : events.flatMap((one) => transform.change(one));
      }
      for (const one of events) entries.push({ mapping, event: one });
    }
  }

  #shapeOf(schemaId: string): Shape {
    let shape = this.#shapes.get(schemaId);
    if (shape === undefined) {
      const schema = this.#schemas.get(schemaId);
      invariant(schema !== undefined, 'the shapes of a delivery were looked up');
      shape = { schemaId, schema, scanner: envelopeScanner(schema), mappings: this.#byTable.get(tableName(schema.table)) ?? [] };
      this.#shapes.set(schemaId, shape);
    }
    return shape;
  }

  async #lookUp(id: string, partition: PartitionId, offset: number): Promise<void> {
    const schema = await this.#log.schema(id);
    if (schema === undefined) {
      throw new CrossfadeError({
        code: 'LOG_SCHEMA_MISSING',
        fault: 'fatal',
        message: `the record at ${partition} offset ${offset} names schema ${id}, which the log does not define`,
        remedy: 'The log was damaged or written by an incompatible release. Nothing after this record was applied; see the runbook.',
      });
    }
    this.#schemas.set(id, schema);
  }
}

function eventOf(record: LogRecord, { schema, scanner }: Shape, partition: PartitionId): ChangeEvent {
  const found = scanner === undefined || record.barrier !== undefined ? undefined : scanValue(record, scanner);
  if (found !== undefined) return scannedChange(record, schema, found);
  const where = `${partition} offset ${record.offset}`;
  const event = readEnvelope(record, schema, where);
  invariant(event !== undefined, 'a tombstone is not an event');
  if ((event.op === 'truncate') !== (record.barrier !== undefined)) throw noBarrier(where);
  return event;
}

function noBarrier(where: string): CrossfadeError {
  return new CrossfadeError({
    code: 'ENVELOPE_INVALID',
    fault: 'fatal',
    message: `the record at ${where} is not a change event of ours: a TRUNCATE has the header "barrier", and nothing else has it`,
    remedy:
      'Somebody else wrote to the log, or it was written by an incompatible release. Nothing after this record was applied; see the runbook.',
  });
}
