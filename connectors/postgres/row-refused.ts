/** The fast path's last word where one row is the reason that a batch could not be written as sets. */
import type { Entry } from '../../src/core/sink-port.ts';
import { foldedSteps, type PlanOf } from './batch.ts';
import { postgresError } from './errors.ts';
import { rowFault } from './row-fault.ts';
import type { RowStep } from './row-steps.ts';

/** The batch cannot be written as it is, because of one of its rows: nothing of it is in the target. */
export class RowRefused extends Error {
  /** False: not even the savepoint was sent. */
  readonly wasSent: boolean;

  constructor(wasSent: boolean) {
    super('a row was refused');
    this.wasSent = wasSent;
  }
}

/** The batch as sets; throws RowRefused where a value cannot even be written down. */
export function foldedRows(entries: readonly Entry[], planOf: PlanOf, mayStage: boolean): readonly RowStep[] {
  try {
    return foldedSteps(entries, planOf, { mayStage });
  } catch (error) {
    throw rowFault(error, '') ? new RowRefused(false) : error;
  }
}

export function refusedOr(cause: unknown, doing: string): Error {
  return rowFault(cause, doing) ? new RowRefused(true) : postgresError(cause, { doing });
}
