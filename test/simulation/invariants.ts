/** What is checked on the way and at the end of a history. Each answers nothing; what is wrong is told to `violate`. */
import type { MemoryLogCluster, StoredBatch } from '../../connectors/memory/log-cluster.ts';
import type { MemoryStore } from '../../connectors/memory/store.ts';
import { codec } from '../../src/codec.ts';
import { canonicalValue } from '../../src/core/canonical.ts';
import { type Row, tableName } from '../../src/core/change.ts';
import type { LogRecord, PartitionId } from '../../src/core/log-port.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import type { PlannedService } from '../support/histories.ts';
import { ExpectedState, type ExpectedRecord, type Oracle } from './oracle.ts';

export type Violate = (what: string) => void;

/** Holds one service's target to the oracle after every commit. */
export class TargetWatch {
  readonly #service: PlannedService;
  readonly #store: MemoryStore;
  readonly #oracle: Oracle;
  readonly #violate: Violate;
  readonly #states = new Map<PartitionId, ExpectedState>();
  readonly #offsets = new Map<PartitionId, number>();
  readonly #discarded = new Set<string>();
  readonly #single: (partition: PartitionId) => boolean;
  readonly #reads: (partition: PartitionId) => boolean;

  /** `single`: its stream has no other partition; `reads`: it is one of the service's. */
  constructor(
    service: PlannedService,
    store: MemoryStore,
    oracle: Oracle,
    { single, reads }: Record<'single' | 'reads', (partition: PartitionId) => boolean>,
    violate: Violate,
  ) {
    this.#reads = reads;
    this.#service = service;
    this.#store = store;
    this.#oracle = oracle;
    this.#single = single;
    this.#violate = violate;
  }

  /** A commit happened: progress went forward only, to a place that exists, and the rows are those of that place. */
  committed(): void {
    const records = this.#oracle.records();
    for (const [partition, { progress }] of this.#store.progress) {
      if (!progress) continue;
      const expected = records.get(partition) ?? [];
      const state = this.#state(partition);
      const before = state.version;
      if (before === progress.version) continue;
      const where = `${this.#service.name} ${partition}`;
      if (progress.nextOffset < (this.#offsets.get(partition) ?? 0)) this.#violate(`${where}: progress went back`);
      this.#offsets.set(partition, progress.nextOffset);
      if (!state.advance(expected, progress.version)) {
        this.#violate(`${where}: progress moved from ${before || 'nothing'} to ${progress.version}, which is not in order`);
      }
      if (this.#single(partition) && state.cutsTransaction(expected)) this.#violate(`${where}: half a source transaction is visible`);
    }
    this.#compareRows();
  }

  /**
   * Held changes were tried again, or a person did something to what is in quarantine. A commit may just have happened whose
   * writer has not told it yet: the rows are those of where the target stands now.
   */
  tended(): void {
    this.committed();
  }

  /** A person forgets this change for ever. */
  discard(version: string): void {
    this.#discarded.add(version);
  }

  /** True when everything that the source holds is applied or kept aside, and what is kept waits for nobody but a person. */
  caughtUp(): boolean {
    if (this.#store.queuesOf('').queued.some(({ state }) => state === 'held')) return false;
    for (const [partition, records] of this.#oracle.records()) {
      if (!this.#reads(partition)) continue;
      if (this.#store.progress.get(partition)?.progress?.version !== records.at(-1)?.version) return false;
    }
    return true;
  }

  #state(partition: PartitionId): ExpectedState {
    let state = this.#states.get(partition);
    if (!state) this.#states.set(partition, (state = new ExpectedState()));
    return state;
  }

  /** Every key is as the source had it at its partition's progress; a key with changes aside, as it was before the first of them. */
  #compareRows(): void {
    const queues = Map.groupBy(this.#store.queuesOf('').queued, ({ partition, table, key }) => `${partition} ${table} ${key}`);
    for (const { source, target } of this.#service.mappings) {
      const name = tableName(source);
      const held = this.#store.tables.get(target) ?? new Map<string, Row>();
      let count = 0;
      for (const [partition, state] of this.#states) {
        for (const [key, last] of state.rows.get(name) ?? []) {
          const queue = queues.get(`${partition} ${target} ${key}`);
          const where = `${this.#service.name} ${target}: key ${key}`;
          if (queue) this.#compareQueue(queue, state, where, name);
          const row = queue ? state.before(name, key, queue[0]?.event.version ?? '', this.#discarded) : last;
          if (row) count += 1;
          const there = held.get(key);
          if (there === row || (there && row && rowText(there) === rowText(row))) continue;
          this.#violate(
            `${where} ${there ? (row ? 'is another row' : 'should be gone') : 'is missing'}${queue ? ' before what is kept aside' : ''}`,
          );
        }
      }
      if (count !== held.size) this.#violate(`${this.#service.name} ${target}: ${held.size} rows, expected ${count}`);
    }
  }

  /** From the first change that was refused on, all of the key are there, each once and in order. */
  #compareQueue(queue: readonly QueuedVersion[], state: ExpectedState, where: string, table: string): void {
    const [head] = queue;
    if (!head) return;
    const kept = queue.map(({ event }) => event.version);
    const expected = state.since(table, head.key, head.event.version).filter((version) => !this.#discarded.has(version));
    if (kept.join() !== expected.join()) this.#violate(`${where} keeps ${kept.join()} aside, expected ${expected.join()}`);
    if (head.state === 'behind' || queue.slice(1).some(({ state: one }) => one !== 'behind'))
      this.#violate(`${where} has a queue of ${queue.map(({ state: one }) => one).join()}`);
  }
}

interface QueuedVersion {
  readonly key: string;
  readonly state: string;
  readonly event: { readonly version: string };
}

const texts = new WeakMap<Row, string>();
/** Column order does not matter; rows never change once made. */
function rowText(row: Row): string {
  let text = texts.get(row);
  if (text === undefined) {
    text = Object.keys(row)
      .sort()
      .map((name) => `${name}=${canonicalValue(row[name])}`)
      .join();
    texts.set(row, text);
  }
  return text;
}

/** A complete record is never a guess: everything before its position is in the log. */
export function checkComplete(executed: number, oracle: Oracle, cluster: MemoryLogCluster, violate: Violate): void {
  for (const [partition, records] of oracle.records()) {
    const last = records.findLast((record) => record.transaction < executed);
    if (!last) continue;
    const held = cluster.partition(partition).last?.version ?? '';
    if (held < last.version)
      violate(`complete record through transaction ${executed}: ${partition} ends at ${held || 'nothing'}, not ${last.version}`);
  }
}

/** What retention took out of each partition, oldest first. */
export type Deleted = ReadonlyMap<PartitionId, readonly StoredBatch[]>;

/** Every expected record exactly once, in order, and nothing else; `open` on all records of a cut transaction but its last. */
export function checkLog(oracle: Oracle, cluster: MemoryLogCluster, deleted: Deleted, violate: Violate): void {
  const expected = oracle.records();
  for (const [partition, { batches }] of cluster.partitions) {
    const all = [...(deleted.get(partition) ?? []), ...batches];
    const held = all.flatMap((batch) => decodeRecordBatch(batch.data, codec, partition, batch.rawBytes));
    const wanted = expected.get(partition) ?? [];
    const length = Math.max(held.length, wanted.length);
    for (let index = 0; index < length; index += 1) {
      const problem = recordProblem(held[index], wanted[index], wanted[index + 1]);
      if (problem === undefined) continue;
      violate(`${partition} record ${index} of ${wanted.length} (held ${held.length}): ${problem}`);
      break;
    }
    let term = 0;
    for (const record of held) {
      if (record.term < term) violate(`${partition} offset ${record.offset}: term ${record.term} after ${term}`);
      term = record.term;
    }
  }
}

function recordProblem(
  held: LogRecord | undefined,
  wanted: ExpectedRecord | undefined,
  next: ExpectedRecord | undefined,
): string | undefined {
  if (!held || !wanted) return held ? 'one too many' : 'missing';
  if (held.version !== wanted.version) return `version ${held.version}, expected ${wanted.version}`;
  if ((held.key === null ? null : Buffer.from(held.key).toString()) !== wanted.keyJson) return 'another key';
  if ((held.barrier === undefined) !== (wanted.keyJson !== null)) return 'a barrier where none belongs, or none where one does';
  if ((held.value === null) !== wanted.tombstone) return 'a tombstone where none belongs, or none where one does';
  if (held.open && next?.transaction !== wanted.transaction) return 'it is marked open, but nothing of its transaction follows';
  return undefined;
}
