/** Which keys have a queue in the target, as this sink knows it: read once, then kept along with what it commits. */
import type { PartitionId } from '../../src/core/log-port.ts';
import type { ProgressOwner } from './progress.ts';
import { readBlocked } from './quarantine-table.ts';
import type { Session } from './session.ts';
import type { Unit } from './units.ts';

export class Blocked {
  readonly #owner: ProgressOwner;
  /** By partition, then by key: whether it is held, or in quarantine. */
  #keys = new Map<PartitionId, Map<string, boolean>>();
  /** False: what is in memory may not be what the target has. */
  #isKnown = false;
  #held = 0;
  #heldEver = 0;
  #generation = 0;

  constructor(owner: ProgressOwner) {
    this.#owner = owner;
  }

  /** So many keys are held in the partitions that were read. */
  get held(): number {
    return this.#held;
  }

  /** Grows by one with every key that is held anew. */
  get heldEver(): number {
    return this.#heldEver;
  }

  /** Another one when the target has to be read anew. */
  get generation(): number {
    return this.#generation;
  }

  /** After a rollback, a claim, or a TRUNCATE that another may have executed. */
  forget(): void {
    this.#isKnown = false;
    this.#generation += 1;
  }

  /**
   * Only the owner of a partition adds to its queues. Whoever else takes from them raises the owner epoch, so what was read
   * is good for as long as this sink can commit.
   */
  async know(session: Session, partitions: Iterable<PartitionId>): Promise<void> {
    if (this.#isKnown) return;
    const keys = await readBlocked(session, this.#owner, [...partitions]);
    this.#keys = new Map();
    this.#held = 0;
    for (const { partition, key, isHeld } of keys) this.add(partition, key, isHeld);
    this.#isKnown = true;
  }

  /** Those that have a held key. */
  heldPartitions(): PartitionId[] {
    return [...this.#keys].flatMap(([partition, keys]) => ([...keys.values()].includes(true) ? [partition] : []));
  }

  any(partition: PartitionId): boolean {
    return (this.#keys.get(partition)?.size ?? 0) > 0;
  }

  has(partition: PartitionId, key: string): boolean {
    return this.#keys.get(partition)?.has(key) ?? false;
  }

  /** What may be applied, and what must wait behind an earlier change of its key. */
  part(partition: PartitionId, units: readonly Unit[]): { readonly free: Unit[]; readonly behind: Unit[] } {
    const [free, behind]: [Unit[], Unit[]] = [[], []];
    for (const unit of units) (this.has(partition, unit.key) ? behind : free).push(unit);
    return { free, behind };
  }

  add(partition: PartitionId, key: string, isHeld: boolean): void {
    this.delete(partition, key);
    let keys = this.#keys.get(partition);
    if (!keys) this.#keys.set(partition, (keys = new Map()));
    keys.set(key, isHeld);
    if (!isHeld) return;
    this.#held += 1;
    this.#heldEver += 1;
  }

  delete(partition: PartitionId, key: string): void {
    const keys = this.#keys.get(partition);
    if (keys?.get(key) === true) this.#held -= 1;
    keys?.delete(key);
  }
}
