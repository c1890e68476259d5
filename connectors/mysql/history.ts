/**
 * Is this still the history that the log was written from? Decides, before anything is read, where the dump begins and
 * what must be met again on the way; the reader then compares the last transaction's fingerprint.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Metadata } from './connect.ts';
import { diverged, purged, setting } from './errors.ts';
import { GtidSet } from './gtid.ts';
import type { MysqlPosition } from './position.ts';
import type { ReadPlan } from './read-plan.ts';
import type { Place } from './transaction.ts';

export interface ServerState {
  readonly uuid: string;
  readonly gtidMode: boolean;
  readonly executed: GtidSet;
  readonly purged: GtidSet;
  /** Binlog files by name, with their sizes. */
  readonly files: ReadonlyMap<string, number>;
  readonly end: Place;
  /** The server's clock. */
  readonly nowUs: number;
  /** The server's clock minus ours. */
  readonly clockOffsetUs: number;
}

/** `SHOW MASTER STATUS` became `SHOW BINARY LOG STATUS` in 8.2. */
function statusStatement(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major > 8 || (major === 8 && minor >= 2) ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
}

export async function serverState(metadata: Metadata): Promise<ServerState> {
  const before = Date.now();
  const [first] = await metadata.rows(
    `SELECT VERSION() AS version, @@GLOBAL.server_uuid AS uuid, @@GLOBAL.gtid_mode AS mode, @@GLOBAL.gtid_purged AS purged, @@GLOBAL.log_bin AS log,
            CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED) AS now`,
  );
  const ourUs = ((before + Date.now()) / 2) * 1000;
  if (!first || Number(first['log']) !== 1)
    throw setting('the server writes no binlog', 'start the server with log_bin set (it is on by default, skip-log-bin turns it off).');
  const [status] = await metadata.rows(statusStatement(String(first['version'])));
  if (!status) throw setting('the server writes no binlog', 'start the server with log_bin set.');
  const files = await metadata.rows('SHOW BINARY LOGS');
  const nowUs = Number(first['now']);
  return {
    uuid: String(first['uuid']),
    gtidMode: first['mode'] === 'ON',
    executed: GtidSet.parse(String(status['Executed_Gtid_Set'])),
    purged: GtidSet.parse(String(first['purged'])),
    files: new Map(files.map((row) => [String(row['Log_name']), Number(row['File_size'])])),
    end: { file: String(status['File']), offset: Number(status['Position']) },
    nowUs,
    clockOffsetUs: nowUs - ourUs,
  };
}

/** The server's end now, as a position of a new pipeline. */
export function endPosition(state: ServerState): MysqlPosition {
  return {
    uuid: state.uuid,
    epoch: 0,
    gtid: state.gtidMode ? state.executed.toString() : null,
    file: state.end.file,
    pos: state.end.offset,
    last: null,
    xa: [],
    throughUs: state.nowUs,
  };
}

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
  if (from.gtid === null) return { plan: planByFile(from, state), state };
  const ours = GtidSet.parse(from.gtid);
  if (!state.gtidMode)
    throw setting(
      'the log was written from GTIDs, but the server has gtid_mode OFF',
      'SET PERSIST gtid_mode = ON; (by way of OFF_PERMISSIVE and ON_PERMISSIVE)',
    );
  for (let waitedMs = 0; !state.executed.contains(ours); waitedMs += replicaPollMs) {
    // Only a replica can be behind; the server itself that lacks what it once sent has lost it.
    if (waitedMs >= replicaWaitMs || state.uuid === from.uuid)
      throw diverged('its executed GTID set lacks transactions that the log holds');
    await sleep(replicaPollMs, undefined, { signal });
    state = await serverState(metadata);
  }
  return { plan: planByGtid(from, ours, state, logger), state };
}

function planByGtid(from: MysqlPosition, ours: GtidSet, state: ServerState, logger: Logger): ReadPlan {
  if (!ours.contains(state.purged)) throw purged('transactions that we have not read were purged');
  const moved = state.uuid !== from.uuid;
  const dump = ours.copy();
  let prove = from.last;
  if (prove !== null && (prove.gtid === null || state.purged.has(prove.gtid))) {
    logger.warn({ gtid: prove.gtid }, 'the last transaction was purged: that this is the same history cannot be proven by its content');
    prove = null;
  }
  if (prove?.gtid) dump.remove(prove.gtid);
  if (moved) logger.info({ from: from.uuid, to: state.uuid }, 'the source is another server now, of the same history');
  return {
    from,
    uuid: state.uuid,
    epoch: moved ? from.epoch + 1 : from.epoch,
    byGtid: true,
    seedGtids: false,
    prove,
    dumpGtids: dump.toString(),
    dumpFrom: { file: '', offset: 4 },
    end: state.end,
  };
}

function planByFile(from: MysqlPosition, state: ServerState): ReadPlan {
  if (state.uuid !== from.uuid) {
    throw new CrossfadeError({
      code: 'SOURCE_SERVER_CHANGED',
      fault: 'fatal',
      message: 'this is another server than the one that the log was written from, and without GTIDs nobody can tell where to go on',
      remedy:
        'Connect to the old server again. If it is gone, load the tables again and start a new pipeline at the position of the load (source.mysql.start); see the runbook. With gtid_mode = ON a failover needs nobody.',
    });
  }
  const size = state.files.get(from.file);
  if (size === undefined) throw purged(`${from.file} is gone`);
  if (from.pos > size) throw diverged(`${from.file} is shorter than what was read of it`);
  // Without a transaction to prove, or when its file is gone while ours is there, reading begins at the position itself.
  const prove = from.last !== null && state.files.has(from.last.file) ? from.last : null;
  const begin = prove ? { file: prove.file, offset: prove.pos } : { file: from.file, offset: from.pos };
  return {
    from,
    uuid: state.uuid,
    epoch: from.epoch,
    byGtid: state.gtidMode,
    // The set at a place is only known from the file's start: PREVIOUS_GTIDS, and every GTID up to the place.
    seedGtids: state.gtidMode,
    prove,
    dumpGtids: '',
    dumpFrom: state.gtidMode ? { file: begin.file, offset: 4 } : begin,
    end: state.end,
  };
}
