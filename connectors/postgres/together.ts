/** Small batches of several partitions in one transaction: its commit, and the round trip, cost more than the few rows in them. */
import { CrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Entry, SinkBatch } from '../../src/core/sink-port.ts';
import type { Apart } from './alterations.ts';
import { StepsFailed, type Step } from './pipeline.ts';
import { moveStep, rollBack, type Held, type ProgressOwner } from './progress.ts';
import { RowRefused } from './row-refused.ts';
import type { RowStep } from './row-steps.ts';
import type { Session } from './session.ts';
import { begin, commit } from './transaction-steps.ts';

export interface TogetherParts {
  readonly session: Session;
  readonly owner: ProgressOwner;
  readonly held: ReadonlyMap<PartitionId, Held>;
  /** The rows of one batch; undefined where some wait behind others that were refused. */
  readonly spell: (batch: SinkBatch, entries: readonly Entry[]) => Promise<Apart<readonly RowStep[]> | undefined>;
}

/**
 * What policies altered in each batch; undefined where nothing was written, and each is to be written by itself: there
 * whatever is the matter is found and told. Throws only where the connection is lost, and nobody knows.
 */
export async function writeTogether(parts: TogetherParts, batches: readonly SinkBatch[]) {
  const { session } = parts;
  let steps: Step[];
  const altered: Apart<readonly RowStep[]>['altered'][] = [];
  try {
    steps = [begin];
    for (const [index, batch] of batches.entries()) {
      const held = parts.held.get(batch.partition);
      const spelled = held && (await parts.spell(batch, batch.entries));
      if (!held || !spelled) return undefined;
      // What the first has staged is in the way of the next one's.
      const rows = index > 0 ? spelled.answer : spelled.answer.filter(({ clearsStage }) => clearsStage !== true);
      steps.push(moveStep(parts.owner, batch.partition, held, batch.progress), ...rows);
      altered.push(spelled.altered);
    }
  } catch (error) {
    if (session.lost || !(error instanceof CrossfadeError || error instanceof RowRefused)) throw error;
    return undefined;
  }
  faultPoint('sink:before-commit');
  try {
    // COMMIT of a transaction that the server has given up answers ROLLBACK, without an error.
    const results = await session.run([...steps, commit]);
    return results.at(-1)?.tag === 'COMMIT' ? altered : undefined;
  } catch (error) {
    if (!(error instanceof StepsFailed) || session.lost) throw error;
    await rollBack(session);
    return undefined;
  }
}
