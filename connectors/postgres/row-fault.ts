/** Which errors are the fault of one row, and of those, which another row may still mend. */
import { CrossfadeError } from '../../src/core/errors.ts';
import { isConnectionLost, postgresError, sqlState } from './errors.ts';

/** `constraint`: another row is in the way, or missing. `value`: the row itself, whatever the others are. */
type FaultKind = 'constraint' | 'value';

export interface RowFault {
  readonly kind: FaultKind;
  /** As it is told to people; names table, column and constraint, and no value. */
  readonly error: CrossfadeError;
}

/** Unique, foreign key, exclusion. */
const amongRows = new Set(['23505', '23503', '23P01']);
/** NOT NULL and CHECK. */
const ofRow = new Set(['23502', '23514']);

/** undefined: not the fault of a row, and nobody knows that going on without it is safe. */
export function rowFault(cause: unknown, doing: string): RowFault | undefined {
  if (cause instanceof CrossfadeError) return cause.code === 'TARGET_VALUE_REFUSED' ? { kind: 'value', error: cause } : undefined;
  const state = isConnectionLost(cause) ? undefined : sqlState(cause);
  if (state === undefined) return undefined;
  const kind = kindOf(state);
  return kind === undefined ? undefined : { kind, error: postgresError(cause, { doing }) };
}

function kindOf(state: string): FaultKind | undefined {
  if (amongRows.has(state)) return 'constraint';
  // A value that does not fit its column, or a row or key beyond the server's limits.
  return ofRow.has(state) || state.startsWith('22') || state.startsWith('54') ? 'value' : undefined;
}
