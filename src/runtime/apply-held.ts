/** Looks after what the target refused: tries held changes again as others go on, and tells how much is kept aside. */
import type { CompleteRecord, Log, Offsets, PartitionId, PartitionState } from '../core/log-port.ts';
import type { Sink } from '../core/sink-port.ts';
import type { ApplyMeters } from './meters.ts';

/** The log's complete record is written once a second. */
const lookEveryMs = 1000;
const countEveryMs = 10_000;

export class ApplyHeld {
  readonly #log: Log;
  readonly #sink: Sink;
  readonly #meters: ApplyMeters;
  readonly #now: () => number;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #ends: Offsets | undefined;

  constructor(log: Log, sink: Sink, meters: ApplyMeters, now: () => number) {
    this.#log = log;
    this.#sink = sink;
    this.#meters = meters;
    this.#now = now;
  }

  /** Something is held: {@link tend} is to be called every now and then. */
  get waits(): boolean {
    return this.#sink.holds === true;
  }

  /** Throws what makes the service stop: poison, where the policy is to halt. */
  async tend(): Promise<void> {
    if (this.waits && this.#sink.tend) {
      if (this.#now() - this.#lookedAtMs >= lookEveryMs) await this.#look();
      let freed = 1;
      // What is free again may have been in the way of others.
      while (freed > 0 && this.waits) freed = await this.#sink.tend(this.#ends);
    }
    await this.countInTime();
  }

  async countInTime(): Promise<void> {
    const { quarantine } = this.#sink;
    if (!quarantine || this.#now() - this.#countedAtMs < (this.waits ? lookEveryMs : countEveryMs)) return;
    this.#countedAtMs = this.#now();
    this.#meters.kept(await quarantine.totals());
  }

  async #look(): Promise<void> {
    this.#lookedAtMs = this.#now();
    const { complete, partitions } = await this.#log.state();
    this.#ends = complete && endsOf(complete, partitions);
  }
}

/**
 * Behind the last record below the end of each partition. A record's ends may lie behind a gap, such as Kafka's markers of a
 * takeover, and progress never comes there by itself: it moves with records.
 */
function endsOf({ ends }: CompleteRecord, partitions: ReadonlyMap<PartitionId, PartitionState>): Offsets {
  return new Map(
    [...partitions].map(([partition, { last }]) => [partition, Math.min(ends[partition] ?? 0, last === undefined ? 0 : last.offset + 1)]),
  );
}
