/** What outlives every process that writes into a target in memory. */
import type { Row } from '../../src/core/change.ts';
import { invariant } from '../../src/core/assert.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Progress } from '../../src/core/sink-port.ts';
import { Queues, type Refuse } from './refusing.ts';

export interface StoredProgress {
  ownerEpoch: number;
  /** The sink that claimed it last. */
  owner?: object;
  progress: Progress | undefined;
  /** The partition came to a barrier: where it stood, and where it is to stand behind it. Void where it stands elsewhere. */
  arrival?: { readonly from: number | undefined; readonly to: Progress };
}

/** What outlives every process: several sinks on one store are several processes on one server. */
export class MemoryStore {
  readonly tables = new Map<string, Map<string, Row>>();
  /** Of the pipeline without a name; the others' are in `pipelines`. */
  readonly progress = new Map<PartitionId, StoredProgress>();
  readonly pipelines = new Map([['', this.progress]]);
  /** What its tables do not take; undefined: they take everything. */
  refuse: Refuse | undefined;
  readonly #queues = new Map<string, Queues>();
  /** Whoever comes next to the end of a step finds the connection gone. */
  isCut = false;
  /** So many of the next commits happen, but their answer never arrives and the connection is gone. */
  loseReplies = 0;
  /** How often rows and progress changed. */
  commits = 0;

  progressOf(pipeline: string): Map<PartitionId, StoredProgress> {
    let progress = this.pipelines.get(pipeline);
    if (!progress) this.pipelines.set(pipeline, (progress = new Map<PartitionId, StoredProgress>()));
    return progress;
  }

  queuesOf(pipeline: string): Queues {
    let queues = this.#queues.get(pipeline);
    if (!queues) this.#queues.set(pipeline, (queues = new Queues()));
    return queues;
  }

  rows(target: string): Row[] {
    return [...(this.tables.get(target)?.values() ?? [])];
  }

  replace(tables: ReadonlyMap<string, Map<string, Row>>): void {
    for (const [name, rows] of tables) this.tables.set(name, rows);
  }

  table(target: string): Map<string, Row> {
    let table = this.tables.get(target);
    if (!table) this.tables.set(target, (table = new Map<string, Row>()));
    return table;
  }
}

/** How far the service is when a transaction moves these, in the partition that is furthest. */
export function furthest(
  stored: ReadonlyMap<PartitionId, StoredProgress>,
  after: ReadonlyMap<PartitionId, Progress>,
): { readonly partition: PartitionId; readonly offset: number } {
  const all = new Map([...stored].flatMap(([partition, { progress }]) => (progress ? [[partition, progress] as const] : [])));
  for (const [partition, progress] of after) all.set(partition, progress);
  const [first] = [...all].toSorted(([, one], [, other]) => (one.version < other.version ? 1 : -1));
  invariant(first, 'a transaction moves some progress');
  // Behind its last record: where it goes on may lie behind a gap, to which no complete record's ends need ever come.
  return { partition: first[0], offset: first[1].lastOffset + 1 };
}
