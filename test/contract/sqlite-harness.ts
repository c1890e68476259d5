import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteLog } from '../../connectors/sqlite/log.ts';
import type { SqliteLogOptions } from '../../connectors/sqlite/settings.ts';
import { codec } from '../../src/codec.ts';
import type { FaultPoint } from '../../src/core/fault-point.ts';
import { numberOf, topicOf } from '../../src/core/partition.ts';
import type { Log, PartitionId, StreamSpec } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import type { LogHarness, OpenOptions } from './log-harness.ts';
import { Faults } from './sqlite-faults.ts';

export const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Much faster than in production, still far above what a busy machine delays. */
export const testTiming = { heartbeat: 25, memberExpiry: 3000, leaderFrozen: 1500, standby: 20, busy: 2000 };

export const appendThread = new URL('sqlite-thread.ts', import.meta.url);

/** A log in a directory of its own, and hands on its files. */
export class SqliteHarness implements LogHarness {
  readonly directory = mkdtempSync(join(tmpdir(), 'crossfade-log-'));
  readonly path = join(this.directory, 'shop.crossfade.db');
  readonly #streams: readonly StreamSpec[];
  readonly #logs: Log[] = [];

  constructor(streams: readonly StreamSpec[]) {
    this.#streams = streams;
  }

  options(more: Partial<SqliteLogOptions> = {}): SqliteLogOptions {
    return { pipeline: 'shop', streams: this.#streams, codec, logger: quiet, timing: testTiming, appendThread, ...more };
  }

  async openWith(more: Partial<SqliteLogOptions>, retention = { age: 168, size: 1e12 }): Promise<Log> {
    const log = await openSqliteLog({ path: this.path, synchronous: 'full', retention }, this.options(more));
    this.#logs.push(log);
    return log;
  }

  open({ streams, deliveryBytes, deliveryRecords }: OpenOptions = {}): Promise<Log> {
    const delivery = { ...(deliveryBytes && { bytes: deliveryBytes }), ...(deliveryRecords && { records: deliveryRecords }) };
    return this.openWith({ delivery, ...(streams && { streams }) });
  }

  /** In one process nothing can be killed; log-sqlite.test.ts kills real ones. */
  async kill(log: Log): Promise<void> {
    await log[Symbol.asyncDispose]();
  }

  async depose(): Promise<void> {
    rmSync(`${this.path}-leader`);
  }

  async expel(group: string): Promise<void> {
    this.sql('-groups', (db) => db.prepare('DELETE FROM members WHERE name = ?').run(group));
  }

  async plant(partition: PartitionId, batch: RecordBatchBuilder): Promise<void> {
    this.sql('', (db) => {
      const row = db
        .prepare('SELECT id, end_offset FROM partitions WHERE topic = ? AND number = ?')
        .get(topicOf(partition), numberOf(partition));
      const [id, base] = [Number(row?.['id']), Number(row?.['end_offset'])];
      db.prepare(
        `INSERT INTO batches (partition, base_offset, next_offset, raw_bytes, term, first_version, first_committed_at_us, last_version,
         last_transaction, written_at_ms, data) VALUES (?, ?, ?, ?, 0, '', 0, '', '', 0, ?)`,
      ).run(id, base, base + batch.count, batch.bytes, batch.finish(codec, base));
      db.prepare('UPDATE partitions SET end_offset = ? WHERE id = ?').run(base + batch.count, id);
    });
  }

  faultPoints(): { readonly passed: readonly FaultPoint[] } & Disposable {
    return new Faults();
  }

  async truncateBelow(partition: PartitionId, offset: number): Promise<void> {
    this.sql('', (db) => {
      const id = Number(
        db.prepare('SELECT id FROM partitions WHERE topic = ? AND number = ?').get(topicOf(partition), numberOf(partition))?.['id'],
      );
      db.prepare('DELETE FROM batches WHERE partition = ? AND next_offset <= ?').run(id, offset);
      db.prepare(
        'UPDATE partitions SET start_offset = coalesce((SELECT min(base_offset) FROM batches WHERE partition = ?1), end_offset) WHERE id = ?1',
      ).run(id);
    });
  }

  /** Straight at one of the files, past all of the log's code. */
  sql<T>(suffix: '' | '-groups', work: (db: DatabaseSync) => T): T {
    const db = new DatabaseSync(`${this.path}${suffix}`, { timeout: 2000 });
    try {
      return work(db);
    } finally {
      db.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const log of this.#logs) await log[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
