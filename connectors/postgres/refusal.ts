/** What becomes of changes that careful application could not place: held, put into quarantine, or the end of the service. */
import { tableName } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { PoisonPolicy } from '../../src/core/quarantine-port.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import type { Blocked } from './blocked.ts';
import type { Queue } from './careful.ts';
import { quotedTarget, targetOf, targetText } from './identifiers.ts';
import type { Step } from './pipeline.ts';
import type { ProgressOwner } from './progress.ts';
import { type Place, queueStep, type Queueing, readReached } from './quarantine-table.ts';
import type { RowFault } from './row-fault.ts';
import { translated, type Session } from './session.ts';
import type { Unit } from './units.ts';

export interface Poison {
  readonly policy: PoisonPolicy;
  /** Other partitions may still bring what a constraint misses. */
  readonly mayHold: boolean;
}

export interface RefusalTools {
  readonly owner: ProgressOwner;
  readonly mappings: readonly Mapping[];
  readonly blocked: Blocked;
  readonly poison: Poison;
}

/** More than this is no race between partitions, and their keys are kept in memory. */
const heldKeysMax = 100_000;
const stepsAtOnce = 256;
const stepBytesAtOnce = 4 * 1024 * 1024;

/**
 * Inside the transaction that moves the progress. `staysOpen`: the source's transaction goes on, and what makes a change
 * right may come in its later parts. Throws where the policy is to halt.
 */
export async function queueRefused(
  session: Session,
  tools: RefusalTools,
  partition: PartitionId,
  queues: Iterable<Queue>,
  staysOpen: boolean,
): Promise<void> {
  const { owner, blocked, poison } = tools;
  const queueings: Queueing[] = [];
  let reached: Queueing['reached'];
  for (const { key, units, fault } of queues) {
    const isHeld = fault.kind === 'constraint' && (staysOpen || poison.mayHold);
    if (!isHeld && poison.policy === 'halt') throw halted(fault.error, units[0] as Unit, tools);
    if (isHeld) reached ??= await readReached(session, owner);
    const head: Queueing = { unit: units[0] as Unit, state: isHeld ? 'held' : 'quarantined', fault };
    queueings.push(reached && isHeld ? { ...head, reached } : head, ...behind(units.slice(1)));
    blocked.add(partition, key, isHeld);
  }
  if (blocked.held > heldKeysMax) throw tooManyHeld();
  await runQueueSteps(session, tools, partition, queueings);
}

export const behind = (units: readonly Unit[]): Queueing[] => units.map((unit) => ({ unit, state: 'behind' as const }));

export async function runQueueSteps(
  session: Session,
  tools: RefusalTools,
  partition: PartitionId,
  queueings: readonly Queueing[],
): Promise<void> {
  const send = async (steps: readonly Step[]) => {
    try {
      await session.run(steps);
    } catch (error) {
      throw translated(error, 'putting changes into crossfade.quarantine');
    }
  };
  let [steps, bytes]: [Step[], number] = [[], 0];
  for (const queueing of queueings) {
    const step = queueStep(placeOf(tools, partition, queueing.unit), queueing);
    steps.push(step);
    bytes += step.values?.at(-1)?.length ?? 0;
    if (steps.length < stepsAtOnce && bytes < stepBytesAtOnce) continue;
    await send(steps);
    [steps, bytes] = [[], 0];
  }
  if (steps.length > 0) await send(steps);
}

function placeOf({ owner, mappings }: RefusalTools, partition: PartitionId, { entry }: Unit): Place {
  const mapping = mappings[entry.mapping] as Mapping;
  return { owner, partition, source: tableName(mapping.source), target: quotedTarget(targetOf(mapping)) };
}

/** The same error with the key's digest and the transaction; its remedy says what else there is. */
export function halted(error: CrossfadeError, { key, entry }: Unit, { mappings, owner }: RefusalTools): CrossfadeError {
  const mapping = mappings[entry.mapping] as Mapping;
  const { code, fault, message, remedy } = error;
  const named = message.includes(targetText(targetOf(mapping))) ? '' : `${tableName(mapping.source)} → ${targetText(targetOf(mapping))}: `;
  return new CrossfadeError({
    code,
    fault,
    message: `${named}${message} (key ${key.slice(0, 12)}, ${entry.event.op} in transaction ${entry.event.transactionId})`,
    remedy: `${remedy} With \`onPoison: quarantine\` for service ${owner.service} such a change is put aside with its key's later ones, and everything else goes on.`,
  });
}

function tooManyHeld(): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_CONSTRAINT',
    fault: 'fatal',
    message: `more than ${heldKeysMax.toLocaleString('en-US')} keys are held because a unique or foreign key of the target refuses them`,
    remedy:
      'See `crossfade quarantine list`: a constraint of the target probably misses a table that is not streamed, or whose stream is far behind. Drop it or make it NOT VALID for now, then start again.',
  });
}

export const constraintFault = (message: string): RowFault => ({
  kind: 'constraint',
  error: new CrossfadeError({ code: 'TARGET_CONSTRAINT', fault: 'fatal', message, remedy: constraintRemedy }),
});
const constraintRemedy =
  'Drop or loosen the named constraint in the target, or bring in or delete there the row that it misses or that is in the way; then start again.';
