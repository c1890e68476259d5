/** The log's file: its tables, its identity, and the checks that it is ours before anything is read or written. */
import { randomUUID } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../src/core/errors.ts';
import { partitionsChanged } from '../../src/core/log-errors.ts';
import { partitionId } from '../../src/core/partition.ts';
import type { PartitionId, StreamSpec } from '../../src/core/log-port.ts';
import { guarded, isBusy, isNoDatabase, sqliteError } from './errors.ts';

/** "CFXL": tells our file from any other SQLite file. */
const applicationId = 0x4346584c;
/** 2: batches know when their first record was committed. */
const formatVersion = 2;

const schemaSql = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE leadership (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), term INTEGER NOT NULL) STRICT;
  INSERT INTO leadership VALUES (1, 0);
  CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    number INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    end_offset INTEGER NOT NULL DEFAULT 0,
    complete_offset INTEGER NOT NULL DEFAULT 0,
    last_offset INTEGER,
    last_term INTEGER,
    last_version TEXT,
    last_transaction TEXT,
    UNIQUE (topic, number)
  ) STRICT;
  CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL REFERENCES partitions (id),
    base_offset INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    term INTEGER NOT NULL,
    first_version TEXT NOT NULL,
    first_committed_at_us INTEGER NOT NULL,
    last_version TEXT NOT NULL,
    last_transaction TEXT NOT NULL,
    written_at_ms INTEGER NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX batches_by_offset ON batches (partition, next_offset);
  CREATE TABLE schemas (id TEXT PRIMARY KEY, definition TEXT NOT NULL) STRICT;
  CREATE TABLE control (kind TEXT PRIMARY KEY CHECK (kind IN ('start', 'complete')), record TEXT NOT NULL) STRICT;
`;

export interface StoreOptions {
  readonly path: string;
  readonly synchronous: 'full' | 'normal';
  readonly busyMs: number;
}

/** One connection to the log's file. Statements are synchronous, so a transaction is never interleaved with another. */
export class Store implements Disposable {
  readonly path: string;
  readonly db: DatabaseSync;
  readonly logId: string;
  readonly #inode: number;

  constructor(path: string, db: DatabaseSync, logId: string) {
    this.path = path;
    this.db = db;
    this.logId = logId;
    this.#inode = statSync(path).ino;
  }

  /** All or nothing; the write lock is taken first, so what is read inside is what stands at the commit. */
  transaction<T>(work: () => T, beforeCommit?: () => void): T {
    return guarded(this.path, () => {
      this.db.exec('BEGIN IMMEDIATE');
      try {
        const answer = work();
        beforeCommit?.();
        this.db.exec('COMMIT');
        return answer;
      } catch (error) {
        if (this.db.isTransaction) this.db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** Writing on into a file that somebody deleted or replaced would be lost with the last process that has it open. */
  throwIfReplaced(): void {
    if (statSync(this.path, { throwIfNoEntry: false })?.ino === this.#inode) return;
    throw new CrossfadeError({
      code: 'LOG_LOST_HISTORY',
      fault: 'fatal',
      message: `the log's file ${basename(this.path)} was deleted or replaced while it was in use`,
      remedy:
        'Put the file back where it was, with its -wal file, before starting again. Without it the services must be rebuilt (see the runbook).',
    });
  }

  [Symbol.dispose](): void {
    if (this.db.isOpen) this.db.close();
  }
}

/** Opens the file, makes it when it is new, and proves that it is this pipeline's log. Retries while another process does the same. */
export async function openStore(options: StoreOptions, pipeline: string): Promise<Store> {
  const deadlineMs = Date.now() + options.busyMs;
  for (;;) {
    try {
      return openOnce(options, pipeline);
    } catch (error) {
      if (isNoDatabase(error)) throw refused(options.path, 'is not a Crossfade log', otherPath);
      // Turning on WAL answers "busy" at once while another process does it, whatever the timeout says.
      if (!isBusy(error) || Date.now() > deadlineMs) throw sqliteError(error, options.path);
    }
    await sleep(20);
  }
}

function openOnce({ path, synchronous, busyMs }: StoreOptions, pipeline: string): Store {
  const db = new DatabaseSync(path, { timeout: busyMs });
  try {
    db.exec('PRAGMA page_size = 16384');
    const found = identify(db, path);
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -4096`);
    if (found === 'new') create(db, path, pipeline);
    const logId = metaOf(db, 'log_id');
    const owner = metaOf(db, 'pipeline');
    if (owner !== pipeline) throw otherPipeline(path, owner, pipeline);
    return new Store(join(realpathSync(dirname(path)), basename(path)), db, logId);
  } catch (error) {
    db.close();
    throw error;
  }
}

function identify(db: DatabaseSync, path: string): 'new' | 'ours' {
  const application = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  if (application === applicationId) {
    if (version === formatVersion) return 'ours';
    throw refused(path, `has format ${version}, this release reads and writes format ${formatVersion}`, wayOut(version));
  }
  const objects = db.prepare('SELECT count(*) AS count FROM sqlite_master').get()?.['count'];
  if (application === 0 && objects === 0) return 'new';
  throw refused(path, 'is a SQLite file, but not a Crossfade log', otherPath);
}

function create(db: DatabaseSync, path: string, pipeline: string): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    if (identify(db, path) === 'new') {
      db.exec(schemaSql);
      const insert = db.prepare('INSERT INTO meta VALUES (?, ?)');
      for (const [name, value] of Object.entries({ log_id: randomUUID(), pipeline, created_at: new Date().toISOString() }))
        insert.run(name, value);
      db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${formatVersion}`);
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function metaOf(db: DatabaseSync, name: string): string {
  const value = db.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.['value'];
  return typeof value === 'string' ? value : '';
}

const otherPath = 'Name another path under `log: { embedded: { path } }`.';

function wayOut(version: number): string {
  const age = version > formatVersion ? 'newer' : 'older';
  return `Start the ${age} release that made it again. Or move it away, with its -wal, -shm and -groups files, and start: what is said then names the "start" from which a new log goes on behind what the targets hold.`;
}

function refused(path: string, what: string, remedy: string): CrossfadeError {
  return new CrossfadeError({ code: 'CONFIG_INVALID', fault: 'fatal', message: `${path} ${what}`, remedy });
}

function otherPipeline(path: string, owner: string, pipeline: string): CrossfadeError {
  return refused(
    path,
    `is the log of pipeline "${owner}", not of "${pipeline}"`,
    'Name another path under `log: { embedded: { path } }`, or set `pipeline` back.',
  );
}

/** The row ids of all partitions of these streams; adds what is new and throws LOG_PARTITIONS_CHANGED before it touches anything. */
export function ensureStreams(store: Store, streams: readonly StreamSpec[]): Map<PartitionId, number> {
  const missing = checkStreams(store, streams);
  if (missing.length > 0) {
    store.transaction(() => {
      const insert = store.db.prepare('INSERT OR IGNORE INTO partitions (topic, number) VALUES (?, ?)');
      for (const { topic, partitions } of checkStreams(store, missing)) for (let n = 0; n < partitions; n += 1) insert.run(topic, n);
    });
  }
  const wanted = new Set(streams.map(({ topic }) => topic));
  const ids = new Map<PartitionId, number>();
  for (const row of store.db.prepare('SELECT id, topic, number FROM partitions').iterate()) {
    const { id, topic, number } = row as { id: number; topic: string; number: number };
    if (wanted.has(topic)) ids.set(partitionId(topic, number), id);
  }
  return ids;
}

/** Answers the streams that the file lacks; throws LOG_PARTITIONS_CHANGED. */
export function checkStreams(store: Store, streams: readonly StreamSpec[]): StreamSpec[] {
  const stored = new Map<string, number>();
  for (const row of store.db.prepare('SELECT topic, count(*) AS partitions FROM partitions GROUP BY topic').iterate()) {
    const { topic, partitions } = row as { topic: string; partitions: number };
    stored.set(topic, partitions);
  }
  return streams.filter(({ topic, partitions }) => {
    const known = stored.get(topic);
    if (known !== undefined && known !== partitions) throw partitionsChanged(topic, known, partitions);
    return known === undefined;
  });
}
