/** Log → transforms → sink, for one service. One session: claim, resume, stream; everything else is the loop's. */
import { type ChangeEvent, type TableSchema, tableName } from '../core/change.ts';
import { invariant } from '../core/assert.ts';
import { readEnvelope } from '../core/envelope.ts';
import { asCrossfadeError, CrossfadeError } from '../core/errors.ts';
import { faultPoint } from '../core/fault-point.ts';
import type { Delivery, Log, LogRecord, PartitionId, ReadPlace, ReadPlaces } from '../core/log-port.ts';
import type { Entry, Mapping, Sink, SinkBatch } from '../core/sink-port.ts';
import type { Logger } from '../core/ports.ts';
import { claimPartitions } from './claim.ts';
import type { Run } from './loop.ts';
import type { ApplyMeters } from './meters.ts';
import { shapeRuns } from './shape-runs.ts';
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

interface Unseen {
  readonly offset: number;
  readonly committedAtUs: number;
  readonly newestUs: number;
  readonly endOffset: number;
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
  readonly #logIds = new Map<PartitionId, string>();
  /** What is in hand and not visible in the target yet: from its oldest change on; and when the newest visible one was committed. */
  readonly #unseen = new Map<PartitionId, Unseen>();
  readonly #visibleUs = new Map<PartitionId, number>();
  /** The last version handed to the sink in each partition. */
  readonly #last = new Map<PartitionId, Version>();
  /** Written into the sink's open transaction; nothing of it is durable before the sink says `committed`. */
  readonly #written = new Map<PartitionId, { readonly nextOffset: number; readonly records: number; readonly ms: number }>();
  /** Durable in the target, not told to the log yet. */
  readonly #applied = new Map<PartitionId, number>();
  #reportedAtMs = 0;

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

  async claim(partitions: readonly PartitionId[]): Promise<ReadPlaces> {
    const { service, mappingHash } = this.#parts;
    // The sink rolls an open transaction back, and whoever had these partitions before may be behind us.
    this.#written.clear();
    this.#unseen.clear();
    for (const partition of partitions) this.#applied.delete(partition);
    for (const partition of this.#logIds.keys()) if (!partitions.includes(partition)) this.#parts.meters.lag(partition, undefined, 0);
    const resumes = await claimPartitions({ service, mappingHash, log: this.#log, sink: this.#sink }, partitions);
    const places = new Map<PartitionId, ReadPlace>();
    for (const [partition, { logId, offset, term, skipThrough, after }] of resumes) {
      places.set(partition, { offset, term });
      this.#logIds.set(partition, logId);
      this.#last.set(partition, after ?? '');
      if (skipThrough === undefined) this.#skipThrough.delete(partition);
      else this.#skipThrough.set(partition, skipThrough);
    }
    const skipThrough = Object.fromEntries([...this.#skipThrough].filter(([partition]) => resumes.has(partition)));
    if (Object.keys(skipThrough).length > 0) {
      this.#parts.logger.warn(
        { service, skipThrough },
        'the log is not the one that was applied: skipping what the target has, by version',
      );
    }
    faultPoint('apply:claimed');
    this.#run.ready();
    this.#parts.logger.info({ service, partitions: places.size }, 'partitions claimed');
    return places;
  }

  async take(delivery: Delivery): Promise<void> {
    const records = this.#fresh(delivery);
    for (const { schemaId, offset } of records) if (!this.#schemas.has(schemaId)) await this.#schema(schemaId, delivery.partition, offset);
    this.#measure(delivery, records[0]);
    const runs = shapeRuns(records, this.#schemas);
    for (const [index, run] of runs.entries()) {
      // Later runs belong to the same delivery, and maybe to the same transaction: seen together or not at all.
      const next = runs[index + 1]?.[0];
      const batch = this.#batch(delivery.partition, run, next?.offset ?? delivery.nextOffset);
      await this.#write(next === undefined ? batch : { ...batch, open: true }, run.length);
    }
    if (this.#now() - this.#reportedAtMs >= (this.#parts.reportEveryMs ?? 1000)) await this.report();
  }

  /** Tells the log how far the target durably is, for retention and for "empty is not new". */
  async report(): Promise<void> {
    if (this.#applied.size === 0) return;
    this.#reportedAtMs = this.#now();
    await this.#log.applied(this.#parts.service, new Map(this.#applied));
    this.#applied.clear();
  }

  async #write(batch: SinkBatch, records: number): Promise<void> {
    const startedMs = this.#now();
    const outcome = await this.#sink.write(batch).catch((thrown: unknown) => {
      // Progress in other partitions must not make the loop believe that this one recovered.
      throw asCrossfadeError(thrown).of(batch.partition);
    });
    faultPoint('apply:written');
    const before = this.#written.get(batch.partition);
    this.#written.set(batch.partition, {
      nextOffset: batch.progress.nextOffset,
      records: (before?.records ?? 0) + records,
      ms: (before?.ms ?? 0) + this.#now() - startedMs,
    });
    if (outcome === 'open') return;
    for (const [partition, { nextOffset, records, ms }] of this.#written) {
      this.#applied.set(partition, nextOffset);
      this.#parts.meters.applied(partition, records, ms / 1000);
      const unseen = this.#unseen.get(partition);
      this.#unseen.delete(partition);
      if (unseen) this.#seen(partition, unseen.newestUs, Math.max(0, unseen.endOffset - nextOffset));
      this.#run.progressed(partition);
    }
    this.#written.clear();
  }

  /** What is in hand is behind until the target has it, however long that takes; without news only the offset has moved. */
  #measure({ partition, nextOffset, endOffset, records }: Delivery, first: LogRecord | undefined): void {
    const newestUs = records.at(-1)?.committedAtUs ?? this.#visibleUs.get(partition);
    if (first) {
      const { offset, committedAtUs } = this.#unseen.get(partition) ?? first;
      this.#unseen.set(partition, { offset, committedAtUs, endOffset, newestUs: newestUs ?? committedAtUs });
      this.#parts.meters.lag(partition, committedAtUs, endOffset - offset);
    } else if (!this.#unseen.has(partition)) this.#seen(partition, newestUs, Math.max(0, endOffset - nextOffset));
  }

  #seen(partition: PartitionId, newestUs: number | undefined, changes: number): void {
    if (newestUs !== undefined) this.#visibleUs.set(partition, newestUs);
    // Caught up, the age of the last change says nothing.
    const sinceUs = newestUs ?? (changes === 0 ? 0 : undefined);
    if (sinceUs !== undefined) this.#parts.meters.lag(partition, sinceUs, changes);
  }

  #batch(partition: PartitionId, records: readonly LogRecord[], nextOffset: number): SinkBatch {
    const entries: Entry[] = [];
    let transactionId = '';
    for (const record of records) {
      if (record.value === null) continue;
      const event = this.#event(record, partition);
      transactionId = event.transactionId;
      this.#transform(event, entries);
    }
    const last = records.at(-1);
    invariant(last !== undefined, 'a run has records');
    const { offset: lastOffset, term, version, committedAtUs } = last;
    const place = { logId: this.#logIds.get(partition) ?? '', nextOffset, lastOffset, term, version };
    const progress = { ...place, transactionId, committedAtUs, mappingHash: this.#parts.mappingHash(partition) };
    return { partition, entries, progress, open: last.open };
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

  #event(record: LogRecord, partition: PartitionId): ChangeEvent {
    const where = `${partition} offset ${record.offset}`;
    const schema = this.#schemas.get(record.schemaId);
    invariant(schema !== undefined, 'the shapes of a delivery were looked up');
    const event = readEnvelope(record, schema, where);
    invariant(event !== undefined, 'a tombstone is not an event');
    return event;
  }

  async #schema(id: string, partition: PartitionId, offset: number): Promise<void> {
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
