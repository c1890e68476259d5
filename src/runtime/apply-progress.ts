/** What a service has written, from the sink's open transaction to what the log is told. */
import type { Log, LogRecord, PartitionId } from '../core/log-port.ts';
import type { SinkBatch, WriteOutcome } from '../core/sink-port.ts';
import type { ApplyLag } from './apply-lag.ts';
import type { Run } from './loop.ts';
import type { ApplyMeters } from './meters.ts';

export interface ProgressParts {
  readonly service: string;
  readonly meters: ApplyMeters;
  readonly now?: () => number;
  /** How often the log is told how far the service is, at least; 1000. */
  readonly reportEveryMs?: number;
}

interface Written {
  readonly nextOffset: number;
  readonly records: number;
  readonly ms: number;
}

export class ApplyProgress {
  readonly #parts: ProgressParts;
  readonly #log: Log;
  readonly #lag: ApplyLag;
  readonly #run: Run;
  readonly #now: () => number;
  /** Written into the sink's open transaction; nothing of it is durable before the sink says `committed`. */
  readonly #written = new Map<PartitionId, Written>();
  /** Durable in the target, not told to the log yet. */
  readonly #applied = new Map<PartitionId, number>();
  #reportedAtMs = 0;

  constructor(parts: ProgressParts, log: Log, lag: ApplyLag, run: Run) {
    this.#parts = parts;
    this.#log = log;
    this.#lag = lag;
    this.#run = run;
    this.#now = parts.now ?? Date.now;
  }

  /** The sink rolls an open transaction back, and whoever had these partitions before may be behind us. */
  claimed(partitions: readonly PartitionId[]): void {
    this.#written.clear();
    for (const partition of partitions) this.#applied.delete(partition);
  }

  /** The sink has answered. `restOf`: what of a partition is in hand behind what was written. */
  answered(
    { partition, progress, barrier }: SinkBatch,
    outcome: Exclude<WriteOutcome, 'waiting'>,
    records: number,
    ms: number,
    restOf: (partition: PartitionId) => readonly LogRecord[],
  ): void {
    const before = this.#written.get(partition);
    const written = { nextOffset: progress.nextOffset, records: (before?.records ?? 0) + records, ms: (before?.ms ?? 0) + ms };
    // A barrier's answer speaks for its own partition: it may have been another worker's commit, while something is open here.
    if (barrier !== undefined) return this.#committed(partition, written, restOf(partition));
    this.#written.set(partition, written);
    if (outcome === 'open') return;
    for (const [one, all] of this.#written) this.#committed(one, all, restOf(one));
    this.#written.clear();
  }

  async reportInTime(): Promise<void> {
    if (this.#now() - this.#reportedAtMs >= (this.#parts.reportEveryMs ?? 1000)) await this.report();
  }

  /** Tells the log how far the target durably is, for retention and for "empty is not new". */
  async report(): Promise<void> {
    if (this.#applied.size === 0) return;
    this.#reportedAtMs = this.#now();
    await this.#log.applied(this.#parts.service, new Map(this.#applied));
    this.#applied.clear();
  }

  #committed(partition: PartitionId, { nextOffset, records, ms }: Written, rest: readonly LogRecord[]): void {
    this.#applied.set(partition, nextOffset);
    this.#parts.meters.applied(partition, records, ms / 1000);
    this.#lag.committed(partition, nextOffset, rest);
    this.#run.progressed(partition);
  }
}
