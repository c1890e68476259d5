/**
 * Is this still the history that the log was written from? Decides, before anything is read, where the dump begins and
 * what must be met again on the way; the reader then compares the last transaction's fingerprint.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/ports.ts';
import type { Metadata } from './metadata.ts';
import { diverged, purged, sequenceWentBack, setting } from '../errors.ts';
import { parseExecuted, type ExecutedSet } from '../position/executed.ts';
import type { LastTransaction, MysqlPosition, PreparedXa } from '../position/position.ts';
import { isBefore, type ReadPlan } from '../position/read-plan.ts';
import { serverState } from './server-state.ts';
import type { ServerState } from './state-questions.ts';
import type { Place } from '../position/place.ts';

const replicaWaitMs = 10_000;
const replicaPollMs = 500;

/** Asks the server and decides; `signal` ends the wait for a replica that lags. */
export async function planRead(
  metadata: Metadata,
  from: MysqlPosition,
  logger: Logger,
  signal: AbortSignal,
): Promise<{ plan: ReadPlan; state: ServerState }> {
  let state = await serverState(metadata);
  if (state.flavor !== from.flavor)
    throw serverChanged(
      `the server is ${names[state.flavor]}, but the log was written from ${names[from.flavor]}, whose positions mean nothing here`,
    );
  if (from.gtid === null) return { plan: planByFile(from, state), state };
  const ours = parseExecuted(from.gtid, from.flavor);
  if (!state.gtidMode)
    throw setting(
      'the log was written from GTIDs, but the server has gtid_mode OFF',
      'SET PERSIST gtid_mode = ON; (by way of OFF_PERMISSIVE and ON_PERMISSIVE)',
    );
  for (let waitedMs = 0; !state.has(ours); waitedMs += replicaPollMs) {
    const back = state.wentBack?.(ours);
    if (back !== undefined && state.uuid === from.uuid)
      throw sequenceWentBack(
        `GTIDs of the domain of ${back} that are lower than it, which was read (or the server forgot that one; gtid_strict_mode is OFF)`,
        ' For what was written since: "A new pipeline with the tables loaded again" in the runbook.',
      );
    // Only a replica can be behind; the server itself that lacks what it once sent has lost it.
    if (waitedMs >= replicaWaitMs || state.uuid === from.uuid)
      throw diverged('its executed GTID set lacks transactions that the log holds');
    await sleep(replicaPollMs, undefined, { signal });
    state = await serverState(metadata);
  }
  return { plan: planByGtid(from, ours, state, logger), state };
}

/** A new pipeline's way from `xaFrom` to `at`, its start: see startAtEnd. */
export function planNewStart(at: MysqlPosition, xaFrom: MysqlPosition): ReadPlan {
  const byGtid = at.gtid !== null && xaFrom.gtid !== null;
  return {
    from: { ...at, gtid: xaFrom.gtid },
    uuid: at.uuid,
    epoch: at.epoch,
    byGtid,
    seedGtids: false,
    prove: null,
    held: [],
    skipUntil: [],
    ...(byGtid ? { passUntil: parseExecuted(at.gtid, at.flavor) } : {}),
    dumpGtids: xaFrom.gtid ?? '',
    dumpFrom: { file: xaFrom.file, offset: xaFrom.pos },
    end: { file: at.file, offset: at.pos },
  };
}

const names = { mysql: 'MySQL', mariadb: 'MariaDB' } as const;
const capturedXa = ({ xa }: MysqlPosition): readonly PreparedXa[] => xa.filter(({ captured }) => captured);

function planByGtid(from: MysqlPosition, ours: ExecutedSet, state: ServerState, logger: Logger): ReadPlan {
  if (!state.reaches(ours)) throw purged('transactions that we have not read were purged');
  const moved = state.uuid !== from.uuid;
  const held = capturedXa(from);
  const withHeld = without(ours, held);
  if (withHeld === undefined || !state.reaches(withHeld)) throw purgedXa();
  const withLast = from.last === null ? withHeld : without(withHeld, [from.last]);
  const prove = withLast !== undefined && state.reaches(withLast) ? from.last : null;
  if (from.last !== null && prove === null)
    logger.warn({ gtid: from.last.gtid }, 'the last transaction was purged: that this is the same history cannot be proven by its content');
  if (moved) logger.info({ from: from.uuid, to: state.uuid }, 'the source is another server now, of the same history');
  const dump = prove === null ? withHeld : (withLast ?? withHeld);
  return {
    from,
    uuid: state.uuid,
    epoch: moved ? from.epoch + 1 : from.epoch,
    byGtid: true,
    seedGtids: false,
    prove,
    held,
    skipUntil: from.flavor === 'mariadb' ? goneBack(ours, dump) : [],
    dumpGtids: dump.toString(),
    dumpFrom: moved || from.file === '' ? { file: '', offset: 4 } : firstRead(from, prove, held),
    end: state.end,
  };
}

/** The set from which the dump brings these again too; undefined when one has no GTID (it was read when GTIDs were off). */
function without(set: ExecutedSet, again: readonly (PreparedXa | LastTransaction)[]): ExecutedSet | undefined {
  const rest = set.copy();
  for (const { gtid, before } of again) {
    if (gtid === null) return undefined;
    rest.remove(gtid, before);
  }
  return rest;
}

/** The last transactions of the domains that the dump goes back in. */
const goneBack = (ours: ExecutedSet, dump: ExecutedSet): readonly string[] =>
  ours
    .toString()
    .split(',')
    .filter((gtid) => gtid !== '' && !dump.has(gtid));

/** Where what is read again begins, and else what is new. */
function firstRead({ file, pos }: MysqlPosition, prove: LastTransaction | null, held: readonly PreparedXa[]): Place {
  return [...(prove ? [prove] : []), ...held]
    .map((one) => ({ file: one.file, offset: one.pos }))
    .reduce((first, place) => (isBefore(place, first) ? place : first), { file, offset: pos });
}

function planByFile(from: MysqlPosition, state: ServerState): ReadPlan {
  if (state.uuid !== from.uuid)
    throw serverChanged(
      'this is another server than the one that the log was written from, and without GTIDs nobody can tell where to go on',
    );
  const size = state.files.get(from.file);
  if (size === undefined) throw purged(`${from.file} is gone`);
  if (from.pos > size) throw diverged(`${from.file} is shorter than what was read of it`);
  const held = capturedXa(from);
  if (held.some(({ file }) => !state.files.has(file))) throw purgedXa();
  // Without a transaction to prove, or when its file is gone while ours is there, reading begins at the position itself.
  const prove = from.last !== null && state.files.has(from.last.file) ? from.last : null;
  const begin = firstRead(from, prove, held);
  return {
    from,
    uuid: state.uuid,
    epoch: from.epoch,
    byGtid: state.gtidMode,
    // The set at a place is only known from the file's start: PREVIOUS_GTIDS, and every GTID up to the place.
    seedGtids: state.gtidMode,
    prove,
    held,
    skipUntil: [],
    dumpGtids: '',
    dumpFrom: state.gtidMode ? { file: begin.file, offset: 4 } : begin,
    end: state.end,
  };
}

const purgedXa = () => purged('the beginning of an XA transaction that is prepared and not ended, and that holds rows of captured tables');

function serverChanged(message: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_SERVER_CHANGED',
    fault: 'fatal',
    message,
    remedy:
      'Connect to the old server again. If it is gone, load the tables again and start a new pipeline at the position of the load (source.mysql.start); see the runbook. With GTIDs on both sides (gtid_mode = ON on MySQL) a failover needs nobody.',
  });
}
