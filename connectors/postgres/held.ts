/**
 * Held changes: refused by a unique or foreign key that another partition may still satisfy. They are tried again as others
 * go on, and are poison only when every partition has passed the highest position that any had reached when they failed.
 */
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import { Careful, type Queue } from './careful.ts';
import { queueName, readQueues, type StoredUnit } from './queues.ts';
import { dequeueStep, markStep, promoteStep, readReached } from './quarantine-table.ts';
import type { Plans } from './plans.ts';
import type { Step } from './pipeline.ts';
import { constraintFault, halted, type RefusalTools } from './refusal.ts';
import { translated, type Session } from './session.ts';

/** The head of a queue that is still held. */
export interface HeldHead {
  readonly partition: PartitionId;
  readonly key: string;
  readonly reachedPartition: PartitionId;
  readonly reachedOffset: number;
}

export interface Drained {
  /** Queues that were on the page: fewer where their changes are large. */
  readonly tried: number;
  /** Keys that are free again, and keys that went into quarantine. */
  readonly released: number;
  /** Changes that were applied, of queues that go on too. */
  readonly moved: number;
  readonly poisoned: number;
  /** The policy is to halt, and this cannot be applied: to be thrown behind the commit. */
  readonly halt: CrossfadeError | undefined;
}

export interface DrainTools extends RefusalTools {
  readonly plans: Plans;
}

/** Inside a transaction that holds the partitions' rows of progress. */
export async function drainHeld(
  session: Session,
  tools: DrainTools,
  partitions: readonly PartitionId[],
  isPoison: (head: HeldHead) => boolean,
): Promise<Drained> {
  const { owner, plans, poison, blocked } = tools;
  const stored = await readQueues(session, tools, partitions);
  await plans.prepare(
    session,
    stored.flatMap(({ units }) => units.map(({ entry }) => entry)),
  );
  const careful = new Careful({ session, planOf: (entry) => plans.of(entry), where: 'held before' });
  const ids = new Map(stored.flatMap(({ units }) => units.map((unit) => [unit, unit.id] as const)));
  for (const { partition, key, units, reason } of stored) {
    const name = queueName(partition, key);
    careful.queues.set(name, { key: name, units: [...units], fault: constraintFault(reason), triedAt: -1 });
  }
  await careful.settle();
  const steps: Step[] = [];
  let [released, poisoned, moved] = [0, 0, 0];
  let halt: CrossfadeError | undefined;
  for (const { partition, key, units, total, reached } of stored) {
    const rest: Queue | undefined = careful.queues.get(queueName(partition, key));
    const first = rest?.units[0];
    const done = first === undefined ? units.length : units.indexOf(first as StoredUnit);
    moved += done;
    if (done > 0) steps.push(dequeueStep(owner, partition, key, units[done - 1]?.id ?? '0'));
    if (done === total) {
      blocked.delete(partition, key);
      released += 1;
      continue;
    }
    if (rest === undefined || first === undefined) {
      steps.push(promoteStep(owner, partition, key, await readReached(session, owner)));
      continue;
    }
    const isPoisonNow = rest.fault.kind === 'value' || (done === 0 && isPoison({ partition, key, ...reached }));
    if (isPoisonNow && poison.policy === 'halt') halt ??= halted(rest.fault.error, { ...first, key }, tools);
    const isQuarantined = isPoisonNow && poison.policy === 'quarantine';
    // What is first only now failed only now.
    const since = done > 0 ? await readReached(session, owner) : reachedOf(reached);
    steps.push(markStep(ids.get(first as StoredUnit) ?? '0', isQuarantined ? 'quarantined' : 'held', rest.fault, since));
    if (!isQuarantined) continue;
    blocked.add(partition, key, false);
    poisoned += 1;
  }
  try {
    if (steps.length > 0) await session.run(steps);
  } catch (error) {
    throw translated(error, 'moving changes out of crossfade.quarantine');
  }
  return { tried: stored.length, released, poisoned, moved, halt };
}

const reachedOf = ({ reachedPartition, reachedOffset }: Pick<HeldHead, 'reachedPartition' | 'reachedOffset'>) => ({
  partition: reachedPartition,
  offset: String(reachedOffset),
});

/** When what is held becomes poison: what the log said, and what the target has. */
export class Deadlines {
  /** By head: the ends of the first complete record that holds all that any partition had reached. */
  readonly #ends = new Map<string, Offsets>();

  /** `ends`: of the last complete record; `progress`: next offsets in the target. */
  hasPassed(head: HeldHead, ends: Offsets | undefined, progress: ReadonlyMap<PartitionId, number>): boolean {
    const name = `${head.partition} ${head.key} ${head.reachedPartition} ${head.reachedOffset}`;
    let due = this.#ends.get(name);
    if (!due && ends && (ends.get(head.reachedPartition) ?? 0) >= head.reachedOffset) this.#ends.set(name, (due = ends));
    return due !== undefined && [...due].every(([partition, end]) => (progress.get(partition) ?? 0) >= end);
  }

  /** Nothing is held any more. */
  forget(): void {
    this.#ends.clear();
  }
}
