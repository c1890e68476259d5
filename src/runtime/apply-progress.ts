/** What a service has written, from the sink's open transaction to what the log is told. */
import type { Log, LogRecord, PartitionId } from '../core/log-port.ts';
import type { SinkBatch, WriteOutcome } from '../core/sink-port.ts';
import type { ApplyLag } from './apply-lag.ts';
import { type Run, sleepUnlessAborted } from './loop.ts';
import type { ApplyMeters } from './meters.ts';

export interface ProgressParts {
  readonly service: string;
  readonly meters: ApplyMeters;
  readonly now?: () => number;
  /** How often the log is told how far the service is, at least; 1000. */
  readonly reportEveryMs?: number;
  /** Ends early, without an error, when the signal aborts. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
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
  #reporting: Promise<void> = Promise.resolve();
  #later = false;

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

  /** What a claim found in the target: the log was told less when whoever held it before died right behind a commit. */
  async resumed(offsets: ReadonlyMap<PartitionId, number>): Promise<void> {
    for (const [partition, offset] of offsets) this.#applied.set(partition, offset);
    await this.report();
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
  report(): Promise<void> {
    // One after the other: an older word that comes last would set the service back.
    const mine = this.#reporting.then(() => this.#tell());
    this.#reporting = mine.catch(() => undefined);
    return mine;
  }

  async #tell(): Promise<void> {
    if (this.#applied.size === 0) return;
    this.#reportedAtMs = this.#now();
    const told = new Map(this.#applied);
    this.#applied.clear();
    try {
      await this.#log.applied(this.#parts.service, told);
    } catch (thrown) {
      for (const [partition, offset] of told) if (!this.#applied.has(partition)) this.#applied.set(partition, offset);
      throw thrown;
    }
  }

  /** The last commit before a silence is told too, or whoever looks from outside would see a change that never arrives. */
  async #reportLater(): Promise<void> {
    if (this.#later) return;
    this.#later = true;
    await (this.#parts.sleep ?? sleepUnlessAborted)(this.#parts.reportEveryMs ?? 1000, this.#run.signal);
    this.#later = false;
    // The end of a session reports by itself; and what fails here fails again where it is waited for.
    if (!this.#run.signal.aborted) await this.report().catch(() => undefined);
  }

  #committed(partition: PartitionId, { nextOffset, records, ms }: Written, rest: readonly LogRecord[]): void {
    this.#applied.set(partition, nextOffset);
    void this.#reportLater();
    this.#parts.meters.applied(partition, records, ms / 1000);
    this.#lag.committed(partition, nextOffset, rest);
    this.#run.progressed(partition);
  }
}
