/** Where a value lies that the target cannot hold: offsets of its batch, and the transaction where that can be found out. */
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Entry, SinkBatch } from '../../src/core/sink-port.ts';
import { type PlanOf, singleSteps } from './batch.ts';

/** What a batch holds, as `crossfade status` counts: the last record that it applies, not what comes behind it. */
export const placeIn = ({ partition, progress }: SinkBatch, fromOffset: number): string =>
  fromOffset >= progress.lastOffset
    ? `partition ${partition} at offset ${progress.lastOffset}`
    : `partition ${partition} at offsets ${fromOffset} to ${progress.lastOffset}`;

/** The same error with the place in its message; any other error as it is. */
export function withPlace(error: unknown, { partition, entries, progress }: SinkBatch, fromOffset: number, planOf: PlanOf): unknown {
  if (!(error instanceof CrossfadeError) || error.code !== 'TARGET_VALUE_REFUSED') return error;
  const { code, fault, message, remedy, cause, scope } = error;
  const entry = entries.find((each) => isRefused(each, planOf));
  const transaction = entry === undefined ? '' : `, in transaction ${entry.event.transactionId}`;
  const place = `partition ${partition}, offsets ${fromOffset} to ${progress.lastOffset}${transaction}`;
  return new CrossfadeError({ code, fault, message: `${message} (${place})`, remedy, cause, ...(scope === undefined ? {} : { scope }) });
}

/** By our own rules; what only the server refuses is not found this way. */
function isRefused(entry: Entry, planOf: PlanOf): boolean {
  if (entry.event.op === 'truncate') return false;
  try {
    singleSteps([entry], planOf);
    return false;
  } catch {
    return true;
  }
}
