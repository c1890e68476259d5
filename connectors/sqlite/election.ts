/** One leader: a lock that the operating system frees with the process, and a term that fences whoever lost it unknowing. */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/ports.ts';
import { isBusy, sqliteError } from './errors.ts';
import { type GroupsFile, type Leader, isGone } from './groups.ts';
import type { Timing } from './settings.ts';

/** Holds the lock until it is disposed or the process is gone. */
export class LeaderLock implements Disposable {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /**
   * undefined where another holds it. SQLite's own lock is used because it is freed by a kill -9, holds between
   * connections of one process too, and needs no native package. Nothing is ever stored in that file.
   */
  static take(logPath: string): LeaderLock | undefined {
    const path = `${logPath}-leader`;
    let db: DatabaseSync | undefined;
    try {
      // Opened anew every time: somebody may have deleted the file, and a lock on a deleted file keeps nobody out.
      db = new DatabaseSync(path, { timeout: 0 });
      db.exec('BEGIN EXCLUSIVE');
      return new LeaderLock(db);
    } catch (error) {
      db?.close();
      if (isBusy(error)) return undefined;
      throw sqliteError(error, path);
    }
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

/** Waits as standby until the lock is ours. Throws LOG_HELD (retry) when its holder shows no sign of life. */
export async function waitForLock(
  logPath: string,
  groups: GroupsFile,
  timing: Timing,
  logger: Logger,
  signal: AbortSignal,
): Promise<LeaderLock> {
  let seen: { readonly heartbeatMs: number | undefined; readonly sinceMs: number } | undefined;
  for (;;) {
    signal.throwIfAborted();
    const lock = LeaderLock.take(logPath);
    if (lock) return lock;
    const leader = groups.leader();
    if (!seen) logger.info({ leader: leader && describeLeader(leader) }, 'another capture leads, standing by');
    // By our own clock and from our own first look: a holder that just won has not written its first heartbeat yet.
    if (seen?.heartbeatMs !== leader?.heartbeat_ms || !seen) seen = { heartbeatMs: leader?.heartbeat_ms, sinceMs: performance.now() };
    const silentMs = performance.now() - seen.sinceMs;
    if (silentMs > timing.leaderFrozen) throw held(leader, silentMs);
    await sleep(timing.standby, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

export function describeLeader({ pid, host, term, heartbeat_ms }: Leader, frozenAfterMs = Infinity): string {
  const silentMs = Date.now() - heartbeat_ms;
  const silence = silentMs > frozenAfterMs ? `, no sign of life for ${Math.round(silentMs / 1000)} s` : '';
  return `pid ${pid} on ${host}, term ${term}${silence}`;
}

export function killCommand(leader: Leader | undefined): string | undefined {
  return leader && !isGone(leader) ? `kill -9 ${leader.pid}` : undefined;
}

function held(leader: Leader | undefined, silentMs: number): CrossfadeError {
  const holder = leader && !isGone(leader) ? `process ${leader.pid} on ${leader.host}` : 'a process that left no name';
  const command = killCommand(leader) ?? 'fuser -k on the file that ends in -leader';
  return new CrossfadeError({
    code: 'LOG_HELD',
    fault: 'retry',
    message: `${holder} holds the leadership of this log, but has shown no sign of life for ${Math.round(silentMs / 1000)} s: it is frozen or suspended`,
    remedy: `Let it go on, or end it with \`${command}\`; this process then takes over by itself.`,
  });
}
