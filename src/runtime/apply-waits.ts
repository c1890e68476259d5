/** Leaves in the log which partitions wait at a TRUNCATE, so that `crossfade status` can say what nothing else shows. */
import type { Log, PartitionId } from '../core/log-port.ts';

/** Most waits are over before anybody could look. */
const tellAfterMs = 1000;

export class ApplyWaits {
  readonly #service: string;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #sinceMs = new Map<PartitionId, number>();
  readonly #told = new Set<PartitionId>();

  constructor(service: string, log: Log, now: () => number) {
    this.#service = service;
    this.#log = log;
    this.#now = now;
  }

  /** Whoever had these partitions before may have died while they waited. */
  async claimed(partitions: readonly PartitionId[]): Promise<void> {
    this.#sinceMs.clear();
    this.#told.clear();
    await this.#tell(partitions.map((partition) => [partition, undefined]));
  }

  begin(partition: PartitionId): void {
    this.#sinceMs.set(partition, this.#now());
  }

  async end(partition: PartitionId): Promise<void> {
    this.#sinceMs.delete(partition);
    if (this.#told.delete(partition)) await this.#tell([[partition, undefined]]);
  }

  /** To be called every now and then while something waits. */
  async tellInTime(): Promise<void> {
    const due = [...this.#sinceMs].filter(([partition, sinceMs]) => !this.#told.has(partition) && this.#now() - sinceMs >= tellAfterMs);
    for (const [partition] of due) this.#told.add(partition);
    await this.#tell(due);
  }

  async #tell(waits: readonly (readonly [PartitionId, number | undefined])[]): Promise<void> {
    if (waits.length > 0) await this.#log.waits(this.#service, new Map(waits));
  }
}
