/**
 * A batch that failed as sets, change by change in the source's order: whatever the source could do, this can. A change that
 * its row alone cannot help (a unique value that is still taken, a parent that is still missing) is set aside with the later
 * ones of its key, and tried again when the others are through; what is left then is the caller's to judge.
 */
import { invariant } from '../../src/core/assert.ts';
import { foldedSteps, type PlanOf } from './batch.ts';
import { oneStatement } from './one-statement.ts';
import type { RowStep } from './row-steps.ts';
import { StepsFailed, type Step } from './pipeline.ts';
import { rowFault, type RowFault } from './row-fault.ts';
import { translated, type Session } from './session.ts';
import { stepOf, type Unit } from './units.ts';

/** Changes that share a savepoint, at most: one that fails costs the others of its chunk a second way, so chunks shrink then. */
const chunkUnits = 128;

const savepoint: Step = { name: 'crossfade_savepoint_careful', text: 'SAVEPOINT crossfade_careful' };
const release: Step = { name: 'crossfade_release_careful', text: 'RELEASE SAVEPOINT crossfade_careful' };
const rollbackTo: Step = { name: 'crossfade_rollback_careful', text: 'ROLLBACK TO SAVEPOINT crossfade_careful' };
const deferAll: Step = { text: 'SET CONSTRAINTS ALL DEFERRED' };
/** Also what the target defers is judged at each statement: at the commit nobody knows any more whose fault it is. */
export const immediate: Step = { name: 'crossfade_immediate', text: 'SET CONSTRAINTS ALL IMMEDIATE' };

/** Changes of one key, of which the first was refused. */
export interface Queue {
  readonly key: string;
  readonly units: Unit[];
  fault: RowFault;
  /** How many changes had been applied when it was refused: until there are more, trying again is pointless. */
  triedAt: number;
}

export interface CarefulTools {
  readonly session: Session;
  readonly planOf: PlanOf;
  /** Where the batch lies, for messages. */
  readonly where: string;
}

interface Ready {
  readonly unit: Unit;
  readonly step: RowStep;
}

export class Careful {
  readonly #tools: CarefulTools;
  /** In the order in which they were refused. */
  readonly queues = new Map<string, Queue>();
  #chunk = chunkUnits;
  #applied = 0;

  constructor(tools: CarefulTools) {
    this.#tools = tools;
  }

  /** Inside a transaction that has begun. Throws what is not the fault of a row. */
  async apply(units: readonly Unit[]): Promise<void> {
    let chunk: Ready[] = [];
    const flush = async () => {
      const ready = chunk;
      chunk = [];
      await this.#run(ready, (unit, fault) => this.#setAside(unit, fault));
    };
    for (const unit of units) {
      const queue = this.queues.get(unit.key);
      if (queue) {
        queue.units.push(unit);
        continue;
      }
      const built = this.#build(unit);
      if ('fault' in built) {
        // Earlier changes of its key may be in the chunk.
        await flush();
        this.#setAside(unit, built.fault);
      } else if (chunk.push(built) >= chunkUnits) await flush();
    }
    await flush();
  }

  /** Tries what another row's state refused, as long as it helps. A key's last change stands for those before it. */
  async settle(): Promise<void> {
    for (let moved = true; moved;) {
      moved = false;
      const open = [...this.queues.values()].filter(({ fault, triedAt }) => fault.kind === 'constraint' && triedAt < this.#applied);
      const faults = await this.#tryLast(open);
      for (const queue of open) {
        const fault = faults.get(queue.key);
        queue.triedAt = this.#applied;
        if (fault === undefined) this.queues.delete(queue.key);
        else if (queue.units.length === 1) queue.fault = fault;
        moved = fault === undefined || (queue.units.length > 1 && (await this.#creep(queue))) || moved;
      }
    }
    await this.#together();
  }

  /** Answers why each of them failed. */
  async #tryLast(queues: readonly Queue[]): Promise<Map<string, RowFault>> {
    const faults = new Map<string, RowFault>();
    const ready: Ready[] = [];
    for (const { key, units } of queues) {
      const built = this.#build(units.at(-1) as Unit);
      if ('fault' in built) faults.set(key, built.fault);
      else ready.push(built);
    }
    await this.#run(ready, ({ key }, fault) => void faults.set(key, fault));
    return faults;
  }

  /** Its first changes, as far as they go: others may wait for what they free. */
  async #creep(queue: Queue): Promise<boolean> {
    let moved = false;
    for (let head = queue.units[0]; head && queue.units.length > 1; head = queue.units[0]) {
      const built = this.#build(head);
      const fault = 'fault' in built ? built.fault : (await this.#attempt([built]))?.fault;
      if (fault) {
        queue.fault = fault;
        return moved;
      }
      queue.units.shift();
      moved = true;
    }
    return moved;
  }

  /**
   * Rows that need each other: one after another where the target lets its constraints wait, else in one statement, behind
   * which foreign keys are asked.
   */
  async #together(): Promise<void> {
    const open = [...this.queues.values()].filter(({ fault }) => fault.kind === 'constraint');
    if (open.length < 2) return;
    const units = open.map((queue) => queue.units.at(-1) as Unit);
    const built = units.map((unit) => this.#build(unit));
    const steps = built.flatMap((one) => ('fault' in one ? [] : [one.step]));
    if (steps.length < built.length) return;
    const sets = foldedSteps(
      units.map(({ entry }) => entry),
      this.#tools.planOf,
      { mayStage: false },
    );
    const passed = (await this.#pass([deferAll, ...steps, immediate])) || (await this.#pass([deferAll, oneStatement(sets), immediate]));
    if (passed) for (const { key } of open) this.queues.delete(key);
  }

  async #pass(steps: readonly Step[]): Promise<boolean> {
    try {
      await this.#tools.session.run([savepoint, ...steps, release]);
      return true;
    } catch (error) {
      await this.#undo(error);
      return false;
    }
  }

  #setAside(unit: Unit, fault: RowFault): void {
    const { key } = unit;
    const queue = this.queues.get(key);
    if (queue) queue.units.push(unit);
    else this.queues.set(key, { key, units: [unit], fault, triedAt: this.#applied });
  }

  #build(unit: Unit): Ready | { readonly fault: RowFault } {
    try {
      return { unit, step: stepOf(unit, this.#tools.planOf) };
    } catch (error) {
      const fault = rowFault(error, '');
      if (!fault) throw error;
      return { fault };
    }
  }

  /** All of them but those that are refused; of a key that was refused nothing more is tried. */
  async #run(ready: readonly Ready[], refused: (unit: Unit, fault: RowFault) => void): Promise<void> {
    const faults = new Map<string, RowFault>();
    for (let at = 0; at < ready.length;) {
      const chunk: Ready[] = [];
      const end = Math.min(ready.length, at + this.#chunk);
      for (; at < end; at += 1) {
        const one = ready[at] as Ready;
        const fault = faults.get(one.unit.key);
        if (fault) refused(one.unit, fault);
        else chunk.push(one);
      }
      const failure = await this.#attempt(chunk);
      this.#chunk = failure ? Math.max(1, this.#chunk >> 2) : Math.min(chunkUnits, this.#chunk * 2);
      if (!failure) continue;
      await this.#run(chunk.slice(0, failure.at), refused);
      const { unit } = chunk[failure.at] as Ready;
      refused(unit, failure.fault);
      faults.set(unit.key, failure.fault);
      at -= chunk.length - failure.at - 1;
    }
  }

  /** All of them, or none and which one was refused. */
  async #attempt(ready: readonly Ready[]): Promise<{ readonly at: number; readonly fault: RowFault } | undefined> {
    if (ready.length === 0) return undefined;
    try {
      await this.#tools.session.run([savepoint, ...ready.map(({ step }) => step), release]);
      this.#applied += ready.length;
      return undefined;
    } catch (error) {
      const at = error instanceof StepsFailed ? error.results.length - 1 : -1;
      return { at, fault: await this.#undo(error, ready[at]?.step.title) };
    }
  }

  async #undo(error: unknown, title = 'applying changes together'): Promise<RowFault> {
    const { session, where } = this.#tools;
    const fault = error instanceof StepsFailed ? rowFault(error.cause, `${title}, ${where}`) : undefined;
    if (!fault) throw error instanceof StepsFailed ? translated(error, `writing ${where}`) : error;
    invariant(error instanceof StepsFailed && error.results.length > 0, 'the savepoint was made');
    await session.run([rollbackTo, release]);
    return fault;
  }
}
