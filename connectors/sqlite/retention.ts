/** Deletes old batches: by age and by size, oldest first, never one that a known group or a resume may still need. */
import { partitionId } from '../../src/core/partition.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Store } from './store.ts';

export interface RetentionLimits {
  /** Hours and bytes. */
  readonly age: number;
  readonly size: number;
}

/** Looked at so often when there is nothing to do. */
const restMs = 10_000;
/** What an append that comes meanwhile has to wait. */
const stepMs = 50;

interface Candidate {
  readonly id: number;
  readonly partition: number;
  readonly next_offset: number;
  readonly written_at_ms: number;
  readonly bytes: number;
}

export class Retention {
  readonly #limits: RetentionLimits;
  readonly #restMs: number;
  #restUntilMs = 0;

  constructor(limits: RetentionLimits, rest = restMs) {
    this.#limits = limits;
    this.#restMs = rest;
  }

  /** One bounded step; answers the number of batches deleted. `lowestApplied`: per partition, the lowest offset of all groups; absent where no group reads it. */
  step(store: Store, lowestApplied: ReadonlyMap<PartitionId, number>): number {
    const startedMs = performance.now();
    if (startedMs < this.#restUntilMs) return 0;
    const deleted = store.transaction(() => this.#delete(store, lowestApplied, startedMs + stepMs));
    // Whoever used up his time has more to do: he goes on with the next complete record.
    if (performance.now() - startedMs < stepMs) this.#restUntilMs = startedMs + this.#restMs;
    return deleted;
  }

  #delete(store: Store, lowestApplied: ReadonlyMap<PartitionId, number>, deadlineMs: number): number {
    const { db } = store;
    const oldest = db.prepare(
      `SELECT id, partition, next_offset, written_at_ms, length(data) AS bytes FROM batches
       WHERE partition = ? AND next_offset > ? AND next_offset <= ? ORDER BY next_offset LIMIT 1`,
    );
    const remove = db.prepare('DELETE FROM batches WHERE id = ?');
    const moveStart = db.prepare('UPDATE partitions SET start_offset = ? WHERE id = ?');
    const bounds = new Map<number, number>();
    const next = (partition: number, from: number) =>
      oldest.get(partition, from, bounds.get(partition) ?? 0) as unknown as Candidate | undefined;
    const candidates: Candidate[] = [];
    for (const { id, start, bound } of deletable(store, lowestApplied)) {
      bounds.set(id, bound);
      const first = next(id, start);
      if (first) candidates.push(first);
    }
    candidates.sort(byId);
    let excess = liveBytes(store) - this.#limits.size;
    const bornBeforeMs = Date.now() - this.#limits.age * 3_600_000;
    let deleted = 0;
    for (let batch = candidates.shift(); batch && performance.now() < deadlineMs; batch = candidates.shift()) {
      if (excess <= 0 && batch.written_at_ms > bornBeforeMs) break;
      remove.run(batch.id);
      moveStart.run(batch.next_offset, batch.partition);
      excess -= batch.bytes;
      deleted += 1;
      const follower = next(batch.partition, batch.next_offset);
      if (follower) insertSorted(candidates, follower);
    }
    return deleted;
  }
}

/** Partitions that have something below both the last complete record and every group. */
function* deletable(store: Store, lowestApplied: ReadonlyMap<PartitionId, number>) {
  const rows = store.db.prepare(
    'SELECT id, topic, number, start_offset, complete_offset FROM partitions WHERE complete_offset > start_offset',
  );
  for (const row of rows.all()) {
    const applied = lowestApplied.get(partitionId(String(row['topic']), Number(row['number']))) ?? Infinity;
    const [id, start, complete] = [Number(row['id']), Number(row['start_offset']), Number(row['complete_offset'])];
    if (applied > start) yield { id, start, bound: Math.min(complete, applied) };
  }
}

/** Pages in use: SQLite keeps freed ones for what comes next, the file itself does not shrink. */
function liveBytes(store: Store): number {
  const read = (name: string) => Number(store.db.prepare(`PRAGMA ${name}`).get()?.[name]);
  return (read('page_count') - read('freelist_count')) * read('page_size');
}

/** Row ids grow in the order of writing. */
const byId = (a: Candidate, b: Candidate) => a.id - b.id;

function insertSorted(candidates: Candidate[], candidate: Candidate): void {
  const at = candidates.findIndex(({ id }) => id > candidate.id);
  candidates.splice(at < 0 ? candidates.length : at, 0, candidate);
}
