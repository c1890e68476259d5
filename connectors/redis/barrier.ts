/**
 * A TRUNCATE in Redis. Every partition of the stream notes its arrival beside its progress; when all have come, the rows
 * of the table that are older than it are removed, in slices, and then one script moves the progress of all. Rows are
 * found by SCAN, which looks at every key of the database once: its cost is that of the database, not of the table.
 */
import type { Redis } from 'ioredis';
import { invariant } from '../../src/core/assert.ts';
import type { Version } from '../../src/core/change.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { topicOf } from '../../src/core/partition.ts';
import type { Entry, Progress, SinkBatch } from '../../src/core/sink-port.ts';
import { guarded, loadScript, runScript } from './connection.ts';
import { keyMatcher, keyPattern } from './key-template.ts';
import { progressArguments, type OwnKeys } from './progress.ts';
import type { HashMapping } from './row-batch.ts';
import type { Sweeper } from './sweep.ts';

const barrierScript = loadScript('barrier');
const emptyScript = loadScript('empty');

/** How many keys one SCAN looks at, and so one script at most. */
const scanCount = 1000;
/** One call works no longer than this: meanwhile nothing else of the service moves. */
const longestSliceMs = 250;

export type Arrival = 'behind' | 'waiting' | 'owner' | 'progress';

/** What stands in Redis, as far as we know. */
export interface Standing {
  readonly epoch: string;
  readonly progress: Progress | undefined;
}

/** How far the work of one barrier is. A process that dies begins it anew: what is gone is not found again. */
interface Work {
  readonly version: Version;
  readonly mappings: number[];
  cursor: string;
}

export class Barriers {
  readonly #keys: OwnKeys;
  readonly #mappings: readonly HashMapping[];
  readonly #sweeper: Sweeper;
  readonly #sliceMs: number;
  readonly #works = new Map<PartitionId, Work>();

  constructor(keys: OwnKeys, mappings: readonly HashMapping[], sweeper: Sweeper, sliceMs = longestSliceMs) {
    this.#sliceMs = sliceMs;
    this.#keys = keys;
    this.#mappings = mappings;
    this.#sweeper = sweeper;
  }

  /** `waiting` is answered while others have not come, and while there is work left. */
  async arrive(redis: Redis, batch: SinkBatch, all: readonly PartitionId[], stands: Standing): Promise<Arrival> {
    const answer = await this.#ask(redis, batch, all, stands, false);
    if (answer !== 'work') {
      this.#works.delete(batch.partition);
      return answer;
    }
    if (!(await this.#empty(redis, batch, stands))) return 'waiting';
    faultPoint('sink:before-commit');
    const outcome = await this.#ask(redis, batch, all, stands, true);
    faultPoint('sink:after-commit');
    this.#works.delete(batch.partition);
    // Every partition of the topic has passed what was buried before.
    if (outcome === 'behind') await this.#sweeper.sweep(redis, topicOf(batch.partition));
    return outcome === 'work' ? 'waiting' : outcome;
  }

  async #ask(
    redis: Redis,
    { partition, progress }: SinkBatch,
    all: readonly PartitionId[],
    stands: Standing,
    done: boolean,
  ): Promise<Arrival | 'work'> {
    const keys = [partition, ...all].map((one) => this.#keys.progress(one));
    const { logId = '', nextOffset = '', version = '' } = stands.progress ?? {};
    const args = [stands.epoch, logId, String(nextOffset), version, progress.version, done ? 'done' : '', ...progressArguments(progress)];
    return (await runScript(redis, barrierScript, keys, args, `bringing ${partition} to a TRUNCATE`)) as Arrival | 'work';
  }

  /** One slice, but at least one SCAN; true when nothing is left. */
  async #empty(redis: Redis, { partition, entries, progress }: SinkBatch, { epoch }: Standing): Promise<boolean> {
    const work = this.#workOf(partition, entries, progress.version);
    const untilMs = performance.now() + this.#sliceMs;
    for (let [mapping] = work.mappings; mapping !== undefined; [mapping] = work.mappings) {
      const template = this.#mappings[mapping]?.template;
      invariant(template, `mapping ${mapping} is one of this sink's`);
      const [cursor, found] = await guarded(redis, 'looking for the rows of a TRUNCATE', () =>
        redis.scan(work.cursor, 'MATCH', keyPattern(template), 'COUNT', scanCount),
      );
      const rows = found.filter(keyMatcher(template));
      const keys = [this.#keys.progress(partition), ...rows];
      if (rows.length > 0) await runScript(redis, emptyScript, keys, [epoch, progress.version], 'removing the rows of a TRUNCATE');
      work.cursor = cursor;
      if (cursor === '0') work.mappings.shift();
      if (performance.now() > untilMs) break;
    }
    return work.mappings.length === 0;
  }

  #workOf(partition: PartitionId, entries: readonly Entry[], version: Version): Work {
    const known = this.#works.get(partition);
    if (known?.version === version) return known;
    const work = { version, mappings: entries.map(({ mapping }) => mapping), cursor: '0' };
    this.#works.set(partition, work);
    return work;
  }
}
