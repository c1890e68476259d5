/** What one sink keeps of refused changes: which keys are blocked, and when those that are held are tried again. */
import { faultPoint } from '../../src/core/fault-point.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import { Blocked } from './blocked.ts';
import { Careful, type CarefulTools } from './careful.ts';
import { Deadlines, drainHeld, type DrainTools } from './held.ts';
import { arrayLiteral } from './literals.ts';
import { targetOf } from './identifiers.ts';
import type { Held } from './progress.ts';
import { mine } from './quarantine-table.ts';
import { behind, queueRefused, runQueueSteps } from './refusal.ts';
import { translated, type Session } from './session.ts';
import { begin, commit } from './transaction-steps.ts';
import { type Unit, unitsOf } from './units.ts';
import { notCommitted } from './writer-errors.ts';

export class Keeper {
  readonly blocked: Blocked;
  readonly #tools: DrainTools;
  readonly #logger: Logger;
  readonly #deadlines = new Deadlines();

  constructor(tools: Omit<DrainTools, 'blocked'>, logger: Logger) {
    this.blocked = new Blocked(tools.owner);
    this.#tools = { ...tools, blocked: this.blocked };
    this.#logger = logger;
  }

  /** What of a batch may be applied, and what goes behind an earlier change of its key. Units only where any key is blocked. */
  part(partition: PartitionId, entries: readonly Entry[]): { readonly free: readonly Entry[]; readonly behind: readonly Unit[] } {
    if (!this.blocked.any(partition)) return { free: entries, behind: [] };
    const { free, behind: waiting } = this.blocked.part(partition, this.#units(entries));
    return waiting.length === 0 ? { free: entries, behind: [] } : { free: free.map(({ entry }) => entry), behind: waiting };
  }

  /** Inside the transaction. */
  async putBehind(session: Session, partition: PartitionId, units: readonly Unit[]): Promise<void> {
    await runQueueSteps(session, this.#tools, partition, behind(units));
  }

  /** Inside the transaction, behind its progress. Answers whether anything was held. */
  async applyCarefully(careful: CarefulTools, partition: PartitionId, entries: readonly Entry[], staysOpen: boolean): Promise<boolean> {
    const { free, behind: waiting } = this.blocked.part(partition, this.#units(entries));
    const work = new Careful(careful);
    await work.apply(free);
    await work.settle();
    await this.putBehind(careful.session, partition, waiting);
    await queueRefused(careful.session, this.#tools, partition, work.queues.values(), staysOpen);
    const queues = [...work.queues.values()];
    if (queues.length > 0) {
      const reasons = [...new Set(queues.map(({ fault }) => fault.error.message))].slice(0, 3);
      this.#logger.warn({ partition, keys: queues.length, reasons }, 'changes that the target refuses were put aside with their keys');
    }
    return queues.some(({ fault }) => fault.kind === 'constraint');
  }

  /** Before a transaction of several parts commits: what its earlier parts held has its last chance in it. */
  async close(session: Session, partitions: readonly PartitionId[]): Promise<void> {
    for (let changed = true; changed;) {
      const { released, poisoned, halt } = await drainHeld(session, this.#tools, partitions, () => !this.#tools.poison.mayHold);
      if (halt) throw halt;
      changed = released + poisoned > 0;
    }
  }

  /**
   * A transaction of its own: tries what is held. `ends`: of the log's last complete record, where it is known. Answers how
   * many keys are free again.
   */
  async tend(session: Session, held: Map<PartitionId, Held>, ends: Offsets | undefined): Promise<number> {
    await this.blocked.know(session, held.keys());
    const all = this.blocked.heldPartitions();
    if (all.length === 0) return 0;
    const { epochs, progress } = await this.#lock(session, all);
    const partitions = all.filter((partition) => epochs.get(partition) === held.get(partition)?.ownerEpoch);
    // What another took is his to look after.
    for (const partition of all) if (!partitions.includes(partition)) held.delete(partition);
    if (partitions.length < all.length) this.blocked.forget();
    const { policy, mayHold } = this.#tools.poison;
    const drained = await drainHeld(
      session,
      this.#tools,
      partitions,
      (head) => !mayHold || this.#deadlines.hasPassed(head, ends, progress),
    );
    faultPoint('sink:before-commit');
    const results = await session.run([commit]);
    if (results[0]?.tag !== 'COMMIT') throw notCommitted(partitions.join(', '));
    faultPoint('sink:after-commit');
    const { released, poisoned, halt } = drained;
    if (released > 0) this.#logger.info({ keys: released }, 'held changes were applied');
    if (poisoned > 0)
      this.#logger.warn({ keys: poisoned, policy }, 'held changes can never be applied as they are and went into quarantine');
    if (halt) throw halt;
    return released;
  }

  /** Begins, and answers who owns these partitions and the next offsets of all that the service has. */
  async #lock(session: Session, partitions: readonly PartitionId[]) {
    const { pipeline, service } = this.#tools.owner;
    const lock = {
      text: `SELECT partition, owner_epoch FROM crossfade.progress WHERE ${mine} AND partition = ANY ($3::text[]) ORDER BY partition FOR UPDATE`,
      values: [pipeline, service, arrayLiteral(partitions)],
    };
    const all = {
      text: `SELECT partition, next_offset FROM crossfade.progress WHERE ${mine} AND next_offset IS NOT NULL`,
      values: [pipeline, service],
    };
    try {
      const results = await session.run([begin, lock, all]);
      return {
        epochs: new Map(results[1]?.rows.map(([partition, epoch]) => [partition ?? '', epoch])),
        progress: new Map(results[2]?.rows.map(([partition, offset]) => [partition ?? '', Number(offset)])),
      };
    } catch (error) {
      throw translated(error, 'looking at held changes');
    }
  }

  #units(entries: readonly Entry[]): Unit[] {
    const { mappings } = this.#tools;
    const names = mappings.map((mapping) => targetOf(mapping));
    return unitsOf(entries, (mapping) => names[mapping] as ReturnType<typeof targetOf>);
  }
}
