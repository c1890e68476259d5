/**
 * Who reads, who leads, and how far each group says it is: a small file beside the log. It is apart so that the log
 * itself has one writer, which never waits for another, and so that signs of life cost no sync to disk.
 */
import { hostname } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { shareOut } from '../../src/core/group-share.ts';
import type { LogMember, PartTrouble } from '../../src/core/log-state.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import { guarded } from './errors.ts';
import type { Timing } from './settings.ts';

const schemaSql = `
  CREATE TABLE IF NOT EXISTS log (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), log_id TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS leader (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), term INTEGER NOT NULL,
    pid INTEGER NOT NULL, host TEXT NOT NULL, started_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS members (
    name TEXT NOT NULL, member TEXT NOT NULL, partitions TEXT NOT NULL,
    pid INTEGER NOT NULL, host TEXT NOT NULL, started_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL,
    PRIMARY KEY (name, member)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS owners (
    name TEXT NOT NULL, partition TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (name, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS offsets (
    name TEXT NOT NULL, partition TEXT NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (name, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS waits (
    name TEXT NOT NULL, partition TEXT NOT NULL, since_ms INTEGER NOT NULL, PRIMARY KEY (name, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS part_troubles (
    part TEXT PRIMARY KEY, code TEXT NOT NULL, fault TEXT NOT NULL, message TEXT NOT NULL, since_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

/** Process start, to tell this process from an earlier one with the same pid (in a container all have the same). */
const startedMs = Math.round(performance.timeOrigin);

interface Life {
  readonly pid: number;
  readonly host: string;
  readonly started_ms: number;
  readonly heartbeat_ms: number;
}

export interface Leader extends Life {
  readonly term: number;
}

export class GroupsFile implements Disposable {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #expiryMs: number;

  constructor(logPath: string, logId: string, timing: Timing) {
    this.path = `${logPath}-groups`;
    this.#expiryMs = timing.memberExpiry;
    this.#db = guarded(this.path, () => new DatabaseSync(this.path, { timeout: timing.busy }));
    this.#guarded(() => {
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
      this.#db.exec(`BEGIN IMMEDIATE; ${schemaSql}`);
      const known = this.#db.prepare('SELECT log_id FROM log').get()?.['log_id'];
      // A new log in the place of a deleted one: what groups had applied of the old one means nothing here.
      if (known !== logId) {
        this.#db.exec(
          ['log', 'leader', 'members', 'owners', 'offsets', 'waits', 'part_troubles'].map((table) => `DELETE FROM ${table}`).join('; '),
        );
        this.#db.prepare('INSERT INTO log VALUES (1, ?)').run(logId);
      }
      this.#db.exec('COMMIT');
    });
  }

  leader(): Leader | undefined {
    return this.#guarded(() => this.#db.prepare('SELECT * FROM leader').get()) as Leader | undefined;
  }

  leads(term: number): void {
    this.#guarded(() => {
      // The frozen leader of an older term must not appear as the one who leads when it wakes.
      this.#db
        .prepare(
          `INSERT INTO leader VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET term = excluded.term, pid = excluded.pid,
           host = excluded.host, started_ms = excluded.started_ms, heartbeat_ms = excluded.heartbeat_ms WHERE excluded.term >= term`,
        )
        .run(term, process.pid, hostname(), startedMs, Date.now());
    });
  }

  leadsNoMore(term: number): void {
    this.#guarded(() => this.#db.prepare('DELETE FROM leader WHERE term = ?').run(term));
  }

  join(group: string, member: string, partitions: readonly PartitionId[]): void {
    this.#transaction(() => {
      this.#db
        // Of an earlier session of this process that could not leave, too.
        .prepare('INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(group, member, JSON.stringify(partitions), process.pid, hostname(), startedMs, Date.now());
      // What the group no longer reads must not hold back retention for ever.
      this.#db
        .prepare('DELETE FROM offsets WHERE name = ? AND partition NOT IN (SELECT value FROM json_each(?))')
        .run(group, JSON.stringify(partitions));
      this.#know(group, partitions);
    });
  }

  leave(group: string, member: string): void {
    this.#guarded(() => this.#db.prepare('DELETE FROM members WHERE name = ? AND member = ?').run(group, member));
  }

  /** Shows that this member lives and buries those that do not. False: the group had given this one up already. */
  beat(group: string, member: string): boolean {
    return this.#transaction(() => {
      const nowMs = Date.now();
      const alive = this.#db.prepare('UPDATE members SET heartbeat_ms = ? WHERE name = ? AND member = ?').run(nowMs, group, member);
      for (const row of this.#db.prepare('SELECT * FROM members WHERE name = ?').all(group)) {
        const life = row as unknown as Life & { readonly member: string };
        if (isDead(life, nowMs, this.#expiryMs))
          this.#db.prepare('DELETE FROM members WHERE name = ? AND member = ?').run(group, life.member);
      }
      return alive.changes === 1;
    });
  }

  /** Who still exists, the frozen included: they are what a person looks for. */
  members(): Map<string, LogMember[]> {
    const rows = this.#guarded(() => this.#db.prepare('SELECT * FROM members ORDER BY name, started_ms, member').all());
    const living = rows.map((row) => row as unknown as Life & { readonly name: string }).filter((life) => !isGone(life));
    return new Map([...Map.groupBy(living, ({ name }) => name)].map(([name, lives]) => [name, lives.map(memberOf)]));
  }

  trouble(part: string, trouble: PartTrouble | undefined): void {
    this.#guarded(() => {
      if (trouble === undefined) this.#db.prepare('DELETE FROM part_troubles WHERE part = ?').run(part);
      else
        this.#db
          .prepare('INSERT OR REPLACE INTO part_troubles VALUES (?, ?, ?, ?, ?)')
          .run(part, trouble.code, trouble.fault, trouble.message, Math.round(trouble.sinceMs));
    });
  }

  troubles(): Map<string, PartTrouble> {
    const rows = this.#guarded(() => this.#db.prepare('SELECT * FROM part_troubles').all());
    return new Map(
      rows.map((row) => {
        const {
          part,
          code,
          fault,
          message,
          since_ms: sinceMs,
        } = row as unknown as Omit<PartTrouble, 'sinceMs'> & {
          readonly part: string;
          readonly since_ms: number;
        };
        return [part, { code, fault, message, sinceMs }];
      }),
    );
  }

  share(group: string, member: string): readonly PartitionId[] {
    const rows = this.#guarded(() => this.#db.prepare('SELECT member, partitions FROM members WHERE name = ?').all(group));
    const members = rows.map((row) => ({ id: String(row['member']), partitions: JSON.parse(String(row['partitions'])) as PartitionId[] }));
    return shareOut(members).get(member) ?? [];
  }

  /** Who claims last owns: so a partition that went to another member and came back is seen to have been away. */
  own(group: string, member: string, partitions: Iterable<PartitionId>): void {
    this.#transaction(() => {
      const upsert = this.#db.prepare('INSERT INTO owners VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET member = excluded.member');
      for (const partition of partitions) upsert.run(group, partition, member);
    });
  }

  owned(group: string, member: string): Set<PartitionId> {
    const rows = this.#guarded(() => this.#db.prepare('SELECT partition FROM owners WHERE name = ? AND member = ?').all(group, member));
    return new Set(rows.map((row) => String(row['partition'])));
  }

  /** Makes a group count for retention before it has applied anything. */
  know(group: string, partitions: Iterable<PartitionId>): void {
    this.#transaction(() => this.#know(group, partitions));
  }

  #know(group: string, partitions: Iterable<PartitionId>): void {
    const insert = this.#db.prepare('INSERT OR IGNORE INTO offsets VALUES (?, ?, 0)');
    for (const partition of partitions) insert.run(group, partition);
  }

  applied(group: string, offsets: Offsets): void {
    this.#transaction(() => {
      const upsert = this.#db.prepare('INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset');
      for (const [partition, offset] of offsets) upsert.run(group, partition, offset);
    });
  }

  forget(group: string): void {
    this.#guarded(() => this.#db.prepare('DELETE FROM offsets WHERE name = ?').run(group));
  }

  waitSince(group: string, sinceMs: ReadonlyMap<PartitionId, number | undefined>): void {
    this.#transaction(() => {
      for (const [partition, since] of sinceMs) {
        if (since === undefined) this.#db.prepare('DELETE FROM waits WHERE name = ? AND partition = ?').run(group, partition);
        else this.#db.prepare('INSERT OR REPLACE INTO waits VALUES (?, ?, ?)').run(group, partition, Math.round(since));
      }
    });
  }

  offsets(): Map<string, Map<PartitionId, number>> {
    return this.#numbers('SELECT name, partition, next_offset AS value FROM offsets');
  }

  waits(): Map<string, Map<PartitionId, number>> {
    return this.#numbers('SELECT name, partition, since_ms AS value FROM waits');
  }

  #numbers(select: string): Map<string, Map<PartitionId, number>> {
    const groups = new Map<string, Map<PartitionId, number>>();
    for (const row of this.#guarded(() => this.#db.prepare(select).all())) {
      const { name, partition, value } = row as { name: string; partition: string; value: number };
      const group = groups.get(name);
      if (group) group.set(partition, value);
      else groups.set(name, new Map([[partition, value]]));
    }
    return groups;
  }

  /** Below what no known group has applied; undefined where no group is known. */
  lowestApplied(): Map<PartitionId, number> {
    const lowest = new Map<PartitionId, number>();
    for (const row of this.#guarded(() =>
      this.#db.prepare('SELECT partition, min(next_offset) AS least FROM offsets GROUP BY partition').all(),
    )) {
      lowest.set(String(row['partition']), Number(row['least']));
    }
    return lowest;
  }

  #transaction<T>(work: () => T): T {
    return this.#guarded(() => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const answer = work();
        this.#db.exec('COMMIT');
        return answer;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  #guarded<T>(work: () => T): T {
    return guarded(this.path, work);
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

function memberOf({ pid, host, heartbeat_ms }: Life): LogMember {
  return { who: `pid ${pid} on ${host}`, silentSeconds: Math.max(0, Date.now() - heartbeat_ms) / 1000 };
}

export function leaderOf(leader: Leader): LogMember {
  const { who, silentSeconds } = memberOf(leader);
  return { who: `${who}, term ${leader.term}`, silentSeconds };
}

/** Whether this process still exists, as far as one can tell from here. */
export function isGone(life: Pick<Leader, 'pid' | 'host' | 'started_ms'>): boolean {
  return isDead({ ...life, heartbeat_ms: 0 }, 0, 0);
}

/** Silent for too long (or from a clock that was set back), or a process of this machine that is no more. */
function isDead({ pid, host, started_ms, heartbeat_ms }: Life, nowMs: number, expiryMs: number): boolean {
  if (Math.abs(nowMs - heartbeat_ms) > expiryMs) return true;
  if (host !== hostname()) return false;
  if (pid === process.pid) return started_ms !== startedMs;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // Anything but "no such process" (a process of another user, say) means that it lives.
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}
