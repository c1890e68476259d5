/** XA transactions that are prepared on the server and not ended: where a new pipeline can begin depends on them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/ports.ts';
import type { MysqlPosition } from '../position/position.ts';
import type { Metadata } from './metadata.ts';
import { endPosition, serverState } from './server-state.ts';

/** As a statement takes them (`XA COMMIT xid`); undefined where the user may not ask (MySQL: XA_RECOVER_ADMIN). */
export async function preparedXids(metadata: Metadata): Promise<readonly string[] | undefined> {
  const { flavor } = await metadata.version();
  try {
    if (flavor === 'mariadb') return (await metadata.rows("XA RECOVER FORMAT='SQL'")).map((row) => String(row['data']));
    return (await metadata.rows('XA RECOVER CONVERT XID')).map((row) => {
      const hex = String(row['data']).slice(2);
      const cut = 2 * Number(row['gtrid_length']);
      return `X'${hex.slice(0, cut)}',X'${hex.slice(cut)}',${row['formatID']}`;
    });
  } catch (error) {
    // MySQL answers XAER_RMERR for the missing privilege; whatever it is, what follows stops by itself where it matters.
    if (error instanceof CrossfadeError && error.fault !== 'retry') return undefined;
    throw error;
  }
}

/** An XA PREPARE is in the binlog a moment before its transaction is listed. */
const settleMs = 100;
const pollMs = 100;
const waitMs = 10_000;

export interface NewStart {
  /** Where the new pipeline begins. */
  readonly at: MysqlPosition;
  /** What is still prepared at `at` was prepared behind this: read from here, every open XA transaction is met. */
  readonly xaFrom: MysqlPosition;
}

/**
 * The end of the binlog, as a start at which no XA COMMIT can come whose XA PREPARE lies before everything that is read: waits
 * until all that was prepared before `xaFrom` is over. Throws SOURCE_XA_OPEN (retry) when that takes too long.
 */
export async function startAtEnd(metadata: Metadata, logger: Logger, signal: AbortSignal): Promise<NewStart> {
  const xaFrom = endPosition(await serverState(metadata));
  await pause(settleMs, signal);
  const before = await preparedXids(metadata);
  if (before === undefined) return { at: xaFrom, xaFrom };
  let left: readonly string[] = before;
  if (left.length > 0) logger.info({ count: left.length }, 'XA transactions are prepared: a new pipeline waits until they are over');
  for (let waitedMs = 0; left.length > 0; waitedMs += pollMs) {
    if (waitedMs >= waitMs) throw stayPrepared(left);
    await pause(pollMs, signal);
    const now = new Set(await preparedXids(metadata));
    left = left.filter((xid) => now.has(xid));
  }
  return { at: endPosition(await serverState(metadata)), xaFrom };
}

/** Throws the signal's own reason: by it a stop that was asked for is told from trouble. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });

const stayPrepared = (xids: readonly string[]): CrossfadeError =>
  new CrossfadeError({
    code: 'SOURCE_XA_OPEN',
    fault: 'retry',
    message: `a new pipeline cannot begin: ${countOf(xids)} for longer than ${waitMs / 1000} s, the first of them ${xids[0] ?? ''}`,
    remedy: `${endThem(xids)} Crossfade tries again by itself. Or name a start in front of the XA PREPARE (source.mysql.start).`,
  });

export const countOf = (xids: readonly string[]): string =>
  xids.length === 1 ? '1 XA transaction is prepared' : `${xids.length} XA transactions are prepared`;
/** What to do with transactions that nobody ends. */
export const endThem = (xids: readonly string[]): string =>
  `Let the application end them; where it forgot them, decide yourself: XA COMMIT ${xids[0] ?? ''}; or XA ROLLBACK ${xids[0] ?? ''};`;
