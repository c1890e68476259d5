/**
 * Everything that is held, tried and then judged a page at a time, over as many transactions as it takes: twenty thousand keys
 * in one would keep the partitions' rows locked for minutes.
 *
 * Poison may be judged only when a whole round has moved nothing, since what a head on one page lacks may wait on another. And
 * only what was due when the round began: what becomes due while it runs may lack what an earlier page did not have yet.
 */
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Blocked } from './blocked.ts';
import { type Drained, drainHeld, type DrainTools, type HeldHead } from './held.ts';
import type { Session } from './session.ts';

export class Sweep {
  readonly #blocked: Blocked;
  readonly #isDue: ((head: HeldHead) => boolean) | undefined;
  readonly #generation: number;
  #heldBefore: number;
  #left: number;
  #hasMoved = false;
  #judges = false;

  /** `isDue`: as of now; without it, everything is tried and nothing judged. */
  constructor(blocked: Blocked, isDue?: (head: HeldHead) => boolean) {
    this.#blocked = blocked;
    this.#isDue = isDue;
    this.#generation = blocked.generation;
    this.#heldBefore = blocked.heldEver;
    this.#left = blocked.held;
  }

  /** False: the target was read anew since, and the round has to begin anew too. */
  get isValid(): boolean {
    return this.#generation === this.#blocked.generation;
  }

  /** Inside a transaction, as {@link drainHeld}. Answers whether the round is over, too. */
  async page(session: Session, tools: DrainTools, partitions: readonly PartitionId[]): Promise<Drained & { readonly isOver: boolean }> {
    const judges = this.#judges;
    const drained = await drainHeld(session, tools, partitions, (judges && this.#isDue) || (() => false));
    const hasMoved = drained.moved > 0 || (!judges && drained.poisoned > 0);
    this.#hasMoved ||= hasMoved;
    // What was held meanwhile was never tried, so it comes before the others.
    const { heldEver, held } = this.#blocked;
    this.#left += heldEver - this.#heldBefore - drained.tried;
    this.#heldBefore = heldEver;
    const goesOn = this.#left > 0 && drained.tried > 0 && !(judges && hasMoved);
    if (goesOn) return { ...drained, isOver: false };
    if (!this.#hasMoved && (judges || this.#isDue === undefined)) return { ...drained, isOver: true };
    this.#judges = !this.#hasMoved;
    this.#hasMoved = false;
    this.#left = held;
    return { ...drained, isOver: held === 0 };
  }
}
