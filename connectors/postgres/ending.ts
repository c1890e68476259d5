/** How a batch's transaction ends, and why one did not. */
import { faultPoint } from '../../src/core/fault-point.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { postgresError, sqlState } from './errors.ts';
import { StepsFailed, type Step } from './pipeline.ts';
import { refusedOr } from './row-refused.ts';
import type { RowStep } from './row-steps.ts';
import type { Session } from './session.ts';
import { commit } from './transaction-steps.ts';
import { fenced, notCommitted } from './writer-errors.ts';

/** The steps behind a batch's rows, where they were not sent with them. */
export async function endBatch(session: Session, partition: PartitionId, after: readonly Step[]): Promise<void> {
  try {
    const results = await session.run(after);
    if (after.includes(commit) && results.at(-1)?.tag !== 'COMMIT') throw notCommitted(partition);
  } catch (error) {
    if (!(error instanceof StepsFailed)) throw error;
    throw refusedOr(error.cause, `committing partition ${partition}`);
  }
}

/** The commit of a transaction in which something was refused on the way. */
export async function finish(session: Session, partition: PartitionId): Promise<void> {
  faultPoint('sink:before-commit');
  await endBatch(session, partition, [commit]);
}

interface Sent {
  /** In front of the one that moves progress, which is followed by the rows. */
  readonly steps: number;
  readonly rows: readonly RowStep[];
  readonly where: string;
  readonly partition: PartitionId;
}

/** What a failed step means where it stands: a lost fence, a row that is refused, or the server's own trouble. */
export function whyNot({ cause, results }: StepsFailed, { steps, rows, where, partition }: Sent) {
  const failed = results.length - steps - 1;
  const isDivision = sqlState(cause) === '22012';
  if (failed === -1 && isDivision) return { isFenced: true, error: fenced(partition) };
  const row = rows[failed];
  if (row?.guard && isDivision) return { isFenced: false, error: row.guard };
  // Before the rows, nothing is their fault.
  if (failed < 0) return { isFenced: false, error: postgresError(cause, { doing: `writing ${where}` }) };
  return { isFenced: false, error: refusedOr(cause, row ? `${row.title}, ${where}` : `writing ${where}`) };
}
