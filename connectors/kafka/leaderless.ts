/** Partitions that no broker leads: waited for in silence while leaders move, told aloud when it lasts, and told again when it is over. */
import type { PartitionId } from '../../src/core/log-port.ts';
import type { PartTrouble } from '../../src/core/log-state.ts';
import type { Logger } from '../../src/core/ports.ts';
import { noLeader } from './errors.ts';

export interface LeaderlessParts {
  readonly logger: Pick<Logger, 'warn' | 'info'>;
  /** Notes what a person should know, and takes it back with undefined. */
  readonly tell: (trouble: PartTrouble | undefined) => void;
  /** An election among the brokers takes less; 5000. */
  readonly patienceMs?: number;
  readonly now?: () => number;
}

const patienceMs = 5000;

export class Leaderless implements Disposable {
  readonly #parts: LeaderlessParts;
  readonly #now: () => number;
  readonly #sinceMs = new Map<PartitionId, number>();
  readonly #told = new Set<PartitionId>();

  constructor(parts: LeaderlessParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  /** What a look at the cluster showed of these partitions; called at every look while some have no leader. */
  looked(leaders: ReadonlyMap<PartitionId, number>): void {
    const nowMs = this.#now();
    const late: PartitionId[] = [];
    const led: PartitionId[] = [];
    for (const [partition, leader] of leaders) {
      if (leader >= 0) {
        this.#sinceMs.delete(partition);
        if (this.#told.delete(partition)) led.push(partition);
        continue;
      }
      const sinceMs = this.#sinceMs.get(partition) ?? nowMs;
      this.#sinceMs.set(partition, sinceMs);
      if (!this.#told.has(partition) && nowMs - sinceMs >= (this.#parts.patienceMs ?? patienceMs)) late.push(partition);
    }
    for (const partition of late) this.#told.add(partition);
    if (late.length > 0)
      this.#parts.logger.warn({ partitions: late }, 'no broker leads these partitions, nothing of them can be read: waiting');
    if (led.length > 0) this.#parts.logger.info({ partitions: led }, 'recovered: these partitions have a leader again');
    if (late.length > 0 || led.length > 0) this.#parts.tell(this.#trouble());
  }

  #trouble(): PartTrouble | undefined {
    const [first, ...others] = this.#told;
    if (first === undefined) return undefined;
    const { code, fault, message } = noLeader(others.length === 0 ? first : `${first} and ${others.length} more`);
    const sinceMs = Math.min(...[...this.#told].map((partition) => this.#sinceMs.get(partition) ?? Infinity));
    return { code, fault, message, sinceMs };
  }

  /** Whoever reads from here on looks anew. */
  [Symbol.dispose](): void {
    if (this.#told.size > 0) this.#parts.tell(undefined);
    this.#told.clear();
    this.#sinceMs.clear();
  }
}
