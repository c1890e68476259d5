/** Log → transforms → sink, for one service. One session: claim, resume, stream; everything else is the loop's. */
import { type ChangeEvent, type TableSchema, tableName } from '../core/change.ts';
import { invariant } from '../core/assert.ts';
import { readEnvelope } from '../core/envelope.ts';
import { CrossfadeError } from '../core/errors.ts';
import { faultPoint } from '../core/fault-point.ts';
import type { Delivery, Entry, Log, Logger, LogRecord, Mapping, Offsets, PartitionId, Sink, SinkBatch } from '../core/ports.ts';
import { claimPartitions } from './claim.ts';
import type { Run } from './loop.ts';
import type { ApplyMeters } from './meters.ts';
import type { Version } from '../core/change.ts';

export interface ApplyParts {
  readonly service: string;
  readonly mappings: readonly Mapping[];
  /** Digest of the mappings behind a partition: progress made under others is not ours. */
  readonly mappingHash: (partition: PartitionId) => string;
  readonly logger: Logger;
  readonly meters: ApplyMeters;
  readonly openLog: () => Promise<Log>;
  readonly openSink: () => Promise<Sink>;
  readonly now?: () => number;
  /** How often the log is told how far the service is, at least; 1000. */
  readonly reportEveryMs?: number;
}

export async function applySession(parts: ApplyParts, run: Run): Promise<void> {
  await using log = await parts.openLog();
  await using sink = await parts.openSink();
  const session = new ApplySession(parts, run, log, sink);
  const claim = (partitions: readonly PartitionId[]) => session.claim(partitions);
  for await (const delivery of log.read(parts.service, claim, run.signal)) {
    faultPoint('apply:read');
    await session.take(delivery);
    if (run.signal.aborted) break;
  }
  await session.report();
}

class ApplySession {
  readonly #parts: ApplyParts;
  readonly #run: Run;
  readonly #log: Log;
  readonly #sink: Sink;
  readonly #now: () => number;
  readonly #byTable = new Map<string, readonly number[]>();
  readonly #schemas = new Map<string, TableSchema>();
  readonly #skipThrough = new Map<PartitionId, Version>();
  /** The last version handed to the sink in each partition. */
  readonly #last = new Map<PartitionId, Version>();
  /** Written into the sink's open transaction; nothing of it is durable before the sink says `committed`. */
  readonly #written = new Map<PartitionId, { readonly nextOffset: number; readonly records: number; readonly ms: number }>();
  /** Durable in the target, not told to the log yet. */
  readonly #applied = new Map<PartitionId, number>();
  #reportedAtMs = 0;
  #logId = '';

  constructor(parts: ApplyParts, run: Run, log: Log, sink: Sink) {
    this.#parts = parts;
    this.#run = run;
    this.#log = log;
    this.#sink = sink;
    this.#now = parts.now ?? Date.now;
    for (const [index, { source }] of parts.mappings.entries()) {
      const name = tableName(source);
      this.#byTable.set(name, [...(this.#byTable.get(name) ?? []), index]);
    }
  }

  async claim(partitions: readonly PartitionId[]): Promise<Offsets> {
    const { service, mappingHash } = this.#parts;
    // The sink rolls an open transaction back, and whoever had these partitions before may be behind us.
    this.#written.clear();
    for (const partition of partitions) this.#applied.delete(partition);
    const claimed = await claimPartitions({ service, mappingHash, log: this.#log, sink: this.#sink }, partitions, this.#run.signal);
    this.#logId = claimed.logId;
    const offsets = new Map<PartitionId, number>();
    for (const [partition, { offset, skipThrough, after }] of claimed.resumes) {
      offsets.set(partition, offset);
      this.#last.set(partition, after ?? '');
      if (skipThrough === undefined) this.#skipThrough.delete(partition);
      else this.#skipThrough.set(partition, skipThrough);
    }
    faultPoint('apply:claimed');
    this.#run.ready();
    this.#parts.logger.info({ service, partitions: offsets.size }, 'partitions claimed');
    return offsets;
  }

  async take(delivery: Delivery): Promise<void> {
    const batch = await this.#batch(delivery);
    if (batch !== undefined) await this.#write(delivery, batch);
    this.#measure(delivery);
    if (this.#now() - this.#reportedAtMs >= (this.#parts.reportEveryMs ?? 1000)) await this.report();
  }

  /** Tells the log how far the target durably is, for retention and for "empty is not new". */
  async report(): Promise<void> {
    this.#reportedAtMs = this.#now();
    if (this.#applied.size === 0) return;
    await this.#log.applied(this.#parts.service, new Map(this.#applied));
    this.#applied.clear();
  }

  async #write(delivery: Delivery, batch: SinkBatch): Promise<void> {
    const startedMs = this.#now();
    const outcome = await this.#sink.write(batch);
    faultPoint('apply:written');
    const before = this.#written.get(delivery.partition);
    this.#written.set(delivery.partition, {
      nextOffset: batch.progress.nextOffset,
      records: (before?.records ?? 0) + delivery.records.length,
      ms: (before?.ms ?? 0) + this.#now() - startedMs,
    });
    if (outcome === 'open') return;
    for (const [partition, { nextOffset, records, ms }] of this.#written) {
      this.#applied.set(partition, nextOffset);
      this.#parts.meters.applied(partition, records, ms / 1000);
    }
    this.#written.clear();
    this.#run.progressed();
  }

  #measure({ partition, nextOffset, endOffset, records }: Delivery): void {
    const last = records.at(-1);
    if (last === undefined) return;
    const changes = Math.max(0, endOffset - nextOffset);
    this.#parts.meters.lag(partition, Math.max(0, this.#now() - last.committedAtUs / 1000) / 1000, changes);
  }

  async #batch(delivery: Delivery): Promise<SinkBatch | undefined> {
    const entries: Entry[] = [];
    let transactionId = '';
    const records = this.#fresh(delivery);
    for (const record of records) {
      if (record.value === null) continue;
      const event = await this.#event(record, delivery.partition);
      transactionId = event.transactionId;
      this.#transform(event, entries);
    }
    const last = records.at(-1);
    if (last === undefined) return undefined;
    const { version, committedAtUs } = last;
    const mappingHash = this.#parts.mappingHash(delivery.partition);
    const progress = { logId: this.#logId, nextOffset: delivery.nextOffset, version, transactionId, committedAtUs, mappingHash };
    return { partition: delivery.partition, entries, progress, open: last.open };
  }

  /** Without what the target has already, where offsets could not be trusted. */
  #fresh({ partition, records }: Delivery): readonly LogRecord[] {
    const through = this.#skipThrough.get(partition);
    const fresh = through === undefined ? records : records.filter(({ version }) => version > through);
    const [first, last] = [fresh[0], fresh.at(-1)];
    if (first === undefined || last === undefined) return fresh;
    this.#skipThrough.delete(partition);
    // The sink compares progress, not rows: a reader that went back would be written as if it were news.
    invariant(first.version > (this.#last.get(partition) ?? ''), `the log goes forward in ${partition}`);
    this.#last.set(partition, last.version);
    return fresh;
  }

  #transform(event: ChangeEvent, entries: Entry[]): void {
    for (const mapping of this.#byTable.get(tableName(event.schema.table)) ?? []) {
      let events: readonly ChangeEvent[] = [event];
      for (const transform of this.#parts.mappings[mapping]?.transforms ?? []) {
        events = events.length === 1 ? transform.change(events[0] as ChangeEvent) : events.flatMap((one) => transform.change(one));
      }
      for (const one of events) entries.push({ mapping, event: one });
    }
  }

  async #event(record: LogRecord, partition: PartitionId): Promise<ChangeEvent> {
    const where = `${partition} offset ${record.offset}`;
    const schema = this.#schemas.get(record.schemaId) ?? (await this.#schema(record.schemaId, where));
    const event = readEnvelope(record, schema, where);
    if (event === undefined) throw new TypeError('a tombstone is not an event');
    return event;
  }

  async #schema(id: string, where: string): Promise<TableSchema> {
    const schema = await this.#log.schema(id);
    if (schema === undefined) {
      throw new CrossfadeError({
        code: 'LOG_SCHEMA_MISSING',
        fault: 'fatal',
        message: `the record at ${where} names schema ${id}, which the log does not define`,
        remedy: 'The log was damaged or written by an incompatible release. Nothing after this record was applied; see the runbook.',
      });
    }
    this.#schemas.set(id, schema);
    return schema;
  }
}
