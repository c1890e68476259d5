/** Partitions whose reading rests, shared by a reader of the log and the log: live, and it says when one goes on. */
import type { PartitionId } from './log-port.ts';

export class Pauses {
  readonly #paused = new Set<PartitionId>();
  readonly #listeners = new Set<() => void>();

  has(partition: PartitionId): boolean {
    return this.#paused.has(partition);
  }

  pause(partition: PartitionId): void {
    this.#paused.add(partition);
  }

  resume(partition: PartitionId): void {
    if (!this.#paused.delete(partition)) return;
    for (const listener of this.#listeners) listener();
  }

  /** Called back whenever a partition goes on; a log that waits for news waits for this too. */
  onResume(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}

/** The log's side of it. */
export type ReadPauses = Pick<Pauses, 'has' | 'onResume'>;

/** For whoever never pauses anything. */
export const noPauses: ReadPauses = { has: () => false, onResume: () => ({ [Symbol.dispose]: () => {} }) };
