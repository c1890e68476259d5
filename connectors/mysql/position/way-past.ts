/** Lines for `source.mysql` in the configuration, with which a new pipeline begins at a known place: remedies print them. */
import { CrossfadeError, type ErrorCode } from '../../../src/core/errors.ts';
import type { ExecutedSet } from './executed.ts';
import { GtidSet } from './gtid.ts';
import type { Place } from './place.ts';

const gtidLine = (gtid: string) => `start: { gtid: '${gtid}' }`;
const placeLine = ({ file, offset }: Place) => `start: { file: ${file}, offset: ${offset} }`;

/**
 * The line that reads everything behind a transaction that a target holds, known by its id alone. A server numbers its own
 * transactions in the order of its binlog, so all lower numbers lie before it; of other servers' nothing is assumed, and they
 * come again. By file and offset the transaction itself comes again. Undefined for an id of another kind of source.
 */
export function startLineAfter(transactionId: string): string | undefined {
  const place = /^(.+\.\d+):(\d+)$/.exec(transactionId);
  if (place) return placeLine({ file: place[1] as string, offset: Number(place[2]) });
  // Of MariaDB's other domains nothing is said, so they come again from their beginning.
  if (/^\d+-\d+-\d+$/.test(transactionId)) return gtidLine(transactionId);
  const at = transactionId.lastIndexOf(':');
  try {
    return gtidLine(GtidSet.parse(`${transactionId.slice(0, at)}:1-${transactionId.slice(at + 1)}`).toString());
  } catch {
    return undefined;
  }
}

export interface Refusal {
  /** Everything executed before the transaction that is refused; null where GTIDs are off. */
  readonly executed: ExecutedSet | null;
  readonly gtid: string | null;
  /** Where the transaction begins. */
  readonly from: Place;
  /** Where the event at hand ends. */
  readonly eventEnd: Place;
  /** The event is the whole transaction: a statement such as TRUNCATE. */
  readonly alone: boolean;
}

/** What is in the binlog for good, so that only a pipeline that starts behind it gets past. */
const stopsForGood = new Set<ErrorCode>([
  'SOURCE_STATEMENT_UNSUPPORTED',
  'SOURCE_EVENT_UNSUPPORTED',
  'SOURCE_ROW_INCOMPLETE',
  'SOURCE_VALUE_INVALID',
  'SOURCE_ROW_TOO_LARGE',
]);
/** Where the binlog itself lacks changes, nothing lies behind the stop that would make up for them. */
const loadedAgain = 'A new pipeline with the tables loaded again';

/** The same error, its remedy with the way past the transaction: without `start` a new pipeline would leave out what came since. */
export function withWayPast(error: CrossfadeError, refusal: Refusal): CrossfadeError {
  if (!stopsForGood.has(error.code) || error.remedy.includes(loadedAgain)) return error;
  const { code, fault, message, cause, scope } = error;
  return new CrossfadeError({
    code,
    fault,
    message,
    cause,
    remedy: `${error.remedy} ${wayPast(refusal)}`,
    ...(scope === undefined ? {} : { scope }),
  });
}

function wayPast(refusal: Refusal): string {
  const line = lineBehind(refusal);
  const set = line === undefined ? lineBySearch(refusal.from) : `set "${line}" under source.mysql, which is right behind it`;
  return `The way past this transaction: let every service apply what the log holds, stop all, make the targets' tables as the source's are behind it, take a new "pipeline" name, ${set}, and start. Without "start" everything since would be missing. See "A new pipeline behind a change" in the runbook.`;
}

function lineBehind({ executed, gtid, eventEnd, alone }: Refusal): string | undefined {
  if (executed === null || gtid === null) return alone ? placeLine(eventEnd) : undefined;
  const behind = executed.copy();
  behind.add(gtid);
  return gtidLine(behind.toString());
}

/** Without GTIDs the end of a transaction is only known once it was read. */
function lineBySearch({ file, offset }: Place): string {
  return `set "start: { file: ${file}, offset: N }" under source.mysql, where N is the End_log_pos of the COMMIT or Xid that ends it (SHOW BINLOG EVENTS IN '${file}' FROM ${offset})`;
}
