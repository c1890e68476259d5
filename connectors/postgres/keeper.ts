/** What one sink keeps of refused changes: which keys are blocked, and when those that are held are tried again. */
import { faultPoint } from '../../src/core/fault-point.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import { Blocked } from './blocked.ts';
import { Careful, type CarefulTools } from './careful.ts';
import { Deadlines, drainHeld, type DrainTools, type HeldHead } from './held.ts';
import { arrayLiteral } from './literals.ts';
import { targetOf } from './identifiers.ts';
import type { Held } from './progress.ts';
import { mine } from './quarantine-table.ts';
import { behind, queueRefused, runQueueSteps } from './refusal.ts';
import { translated, type Session } from './session.ts';
import { Sweep } from './sweep.ts';
import { begin, commit } from './transaction-steps.ts';
import { type Unit, unitsOf } from './units.ts';
import { fenced, notCommitted } from './writer-errors.ts';

/** Pages of held queues in one transaction: about a second. */
const pagesAtOnce = 10;

export class Keeper {
  readonly blocked: Blocked;
  readonly #tools: DrainTools;
  readonly #logger: Logger;
  readonly #deadlines = new Deadlines();
  /** Over several calls of {@link tend}. */
  #sweep: Sweep | undefined;

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
    for (;;) {
      await this.#tryAll(session, partitions);
      if (this.#tools.poison.mayHold || this.blocked.held === 0) return;
      const { poisoned, halt } = await drainHeld(session, this.#tools, partitions, () => true);
      if (halt) throw halt;
      if (poisoned === 0) return;
    }
  }

  /** Tries everything that is held until a whole round has moved nothing. */
  async #tryAll(session: Session, partitions: readonly PartitionId[]): Promise<void> {
    const sweep = new Sweep(this.blocked);
    for (let isOver = this.blocked.held === 0; !isOver;) {
      const page = await sweep.page(session, this.#tools, partitions);
      if (page.halt) throw page.halt;
      isOver = page.isOver;
    }
  }

  /**
   * A transaction of its own: tries what is held, as much as goes in one. `ends`: of the log's last complete record, where it
   * is known. Answers how many keys are free again.
   */
  async tend(session: Session, held: Map<PartitionId, Held>, ends: Offsets | undefined): Promise<number> {
    await this.blocked.know(session, held.keys());
    const all = this.blocked.heldPartitions();
    if (all.length === 0) return 0;
    const { owners, progress } = await this.#lock(session, all);
    const partitions = all.filter((partition) => owners.get(partition)?.epoch === held.get(partition)?.ownerEpoch);
    // A person changed a queue, or ordered a replay: without another claim nobody would look after this partition.
    const taken = all.find((partition) => !partitions.includes(partition) && owners.get(partition)?.isThisSession === true);
    if (taken !== undefined) throw fenced(taken);
    // What another took is his to look after.
    for (const partition of all) if (!partitions.includes(partition)) held.delete(partition);
    if (partitions.length < all.length) this.blocked.forget();
    const { policy, mayHold } = this.#tools.poison;
    const isDue = (head: HeldHead) => !mayHold || this.#deadlines.hasPassed(head, ends, progress);
    const { released, poisoned, halt } = await this.#tendPages(session, partitions, isDue);
    faultPoint('sink:before-commit');
    const results = await session.run([commit]);
    if (results[0]?.tag !== 'COMMIT') throw notCommitted(partitions.join(', '));
    faultPoint('sink:after-commit');
    if (this.blocked.held === 0) this.#deadlines.forget();
    if (released > 0) this.#logger.info({ keys: released }, 'held changes were applied');
    if (poisoned > 0)
      this.#logger.warn({ keys: poisoned, policy }, 'held changes can never be applied as they are and went into quarantine');
    if (halt) throw halt;
    return released;
  }

  async #tendPages(session: Session, partitions: readonly PartitionId[], isDue: (head: HeldHead) => boolean) {
    if (this.#sweep?.isValid !== true) this.#sweep = undefined;
    let [released, poisoned] = [0, 0];
    for (let page = 0; page < pagesAtOnce && this.blocked.held > 0; page += 1) {
      let isAnyDue = false;
      const look = (head: HeldHead) => {
        isAnyDue ||= isDue(head);
        return false;
      };
      const drained = await (this.#sweep?.page(session, this.#tools, partitions) ?? drainHeld(session, this.#tools, partitions, look));
      released += drained.released;
      poisoned += drained.poisoned;
      if (drained.halt) return { released, poisoned, halt: drained.halt };
      if ('isOver' in drained) {
        if (!drained.isOver) continue;
        this.#sweep = undefined;
        break;
      }
      if (!isAnyDue) break;
      this.#sweep = new Sweep(this.blocked, isDue);
    }
    return { released, poisoned, halt: undefined };
  }

  /** Begins, and answers who owns these partitions and the next offsets of all that the service has. */
  async #lock(session: Session, partitions: readonly PartitionId[]) {
    const { pipeline, service } = this.#tools.owner;
    const lock = {
      text: `SELECT partition, owner_epoch, owner_pid = pg_backend_pid() FROM crossfade.progress WHERE ${mine} AND partition = ANY ($3::text[]) ORDER BY partition FOR UPDATE`,
      values: [pipeline, service, arrayLiteral(partitions)],
    };
    const all = {
      text: `SELECT partition, next_offset FROM crossfade.progress WHERE ${mine} AND next_offset IS NOT NULL`,
      values: [pipeline, service],
    };
    try {
      const results = await session.run([begin, lock, all]);
      return {
        owners: new Map(results[1]?.rows.map(([partition, epoch, own]) => [partition ?? '', { epoch, isThisSession: own === 't' }])),
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
