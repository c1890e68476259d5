/** The table of progress in the target: who owns a partition, and how far it was applied. */
import type { PartitionId } from '../../src/core/log-port.ts';
import type { AppliedByOther, Progress } from '../../src/core/sink-port.ts';
import { arrayLiteral } from './literals.ts';
import type { Step, StepResult } from './pipeline.ts';
import { translated, type Session } from './session.ts';

export const createSchemaStatement = 'CREATE SCHEMA crossfade;';
export const createProgressStatement = `CREATE TABLE crossfade.progress (
  pipeline text NOT NULL,
  service text NOT NULL,
  partition text NOT NULL,
  owner_epoch bigint NOT NULL,
  owner_pid integer,
  log_id text,
  next_offset bigint,
  last_offset bigint,
  term bigint,
  version text,
  transaction_id text,
  committed_at timestamptz,
  mapping_hash text,
  applied_at timestamptz,
  arrival jsonb,
  PRIMARY KEY (pipeline, service, partition)
) WITH (fillfactor = 50);`;

/** For a table that an earlier release made. */
export const addArrivalStatement = 'ALTER TABLE crossfade.progress ADD COLUMN arrival jsonb;';

/** Which service of which pipeline: the first two columns of the key. */
export interface ProgressOwner {
  readonly pipeline: string;
  readonly service: string;
}

/** What this sink believes of a partition; the server must agree when it writes. */
export interface Held {
  readonly ownerEpoch: string;
  /** null: never applied. */
  readonly nextOffset: number | null;
}

const columns = `log_id, next_offset, last_offset, term, version, transaction_id, round(extract(epoch FROM committed_at) * 1000000)::bigint, mapping_hash`;

/** Creates what is missing, by one process at a time. Asks for no privilege when everything is there. */
export async function ensureProgressTable(session: Session): Promise<void> {
  const found = await progressTable(session);
  if (found === 'current') return;
  const doing = 'creating crossfade.progress in the target';
  // The two statements are not atomic on their own: without the lock, two services that start together would collide.
  const lock: Step = { text: `SELECT pg_advisory_xact_lock(hashtext('crossfade.progress'))` };
  const exists: Step = { text: `SELECT 1 FROM pg_namespace WHERE nspname = 'crossfade'` };
  try {
    const [, , schema] = await session.run([{ text: 'BEGIN' }, lock, exists]);
    const create = schema?.rows.length === 0 ? [{ text: createSchemaStatement }] : [];
    const table =
      found === 'old'
        ? addArrivalStatement.replace('ADD COLUMN', 'ADD COLUMN IF NOT EXISTS')
        : createProgressStatement.replace('CREATE TABLE', 'CREATE TABLE IF NOT EXISTS');
    await session.run([...create, { text: table }, { text: 'COMMIT' }]);
  } catch (error) {
    await rollBack(session);
    throw translated(error, doing);
  }
}

/** `old`: as a release made it that knew no barriers. */
export async function progressTable(session: Session): Promise<'missing' | 'old' | 'current'> {
  // to_regclass refuses to look into a schema that this user may not use; the catalog itself is open to all.
  const rows = await session.query(
    'looking for crossfade.progress in the target',
    `SELECT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'arrival' AND NOT a.attisdropped)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'crossfade' AND c.relname = 'progress'`,
  );
  return rows.length === 0 ? 'missing' : rows[0]?.[0] === 't' ? 'current' : 'old';
}

export async function progressTableExists(session: Session): Promise<boolean> {
  return (await progressTable(session)) !== 'missing';
}

/** Leaves whatever transaction is open; a connection that is gone has none. */
export async function rollBack(session: Session): Promise<void> {
  if (session.lost) return;
  // The error that led here is the one to report; if this fails too, the connection is lost and the next call says so.
  await session.run([{ text: 'ROLLBACK' }]).catch(() => undefined);
}

export async function readProgress(session: Session, owner: ProgressOwner): Promise<Map<PartitionId, Progress>> {
  const rows = await session.query(
    'reading the progress',
    `SELECT partition, ${columns} FROM crossfade.progress WHERE pipeline = $1 AND service = $2 AND next_offset IS NOT NULL`,
    [owner.pipeline, owner.service],
  );
  return new Map(rows.map(([partition, ...rest]) => [partition as string, progressOf(rest)]));
}

/** Versions are in the order of their bytes, whatever the database's collation. */
export async function readOthers(session: Session, { pipeline, service }: ProgressOwner): Promise<AppliedByOther[]> {
  const rows = await session.query(
    'reading the progress of other pipelines',
    `SELECT DISTINCT ON (pipeline) pipeline, transaction_id, round(extract(epoch FROM committed_at) * 1000000)::bigint
FROM crossfade.progress WHERE pipeline <> $1 AND service = $2 AND next_offset IS NOT NULL ORDER BY pipeline, version COLLATE "C" DESC`,
    [pipeline, service],
  );
  return rows.map(([other, transactionId, committedAtUs]) => ({
    pipeline: other ?? '',
    transactionId: transactionId ?? '',
    committedAtUs: Number(committedAtUs),
  }));
}

/**
 * An epoch that nobody ever held: also not before the table was emptied, or restored from a backup. Counting from one
 * would let a forgotten owner pass for the new one.
 */
export const clockEpoch = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`;

/** Takes all partitions at once, in one order for everybody, so that two claimants cannot deadlock. */
export function claimSteps(owner: ProgressOwner, partitions: string): Step[] {
  const text = `INSERT INTO crossfade.progress AS p (pipeline, service, partition, owner_epoch, owner_pid)
SELECT $1, $2, u.partition, ${clockEpoch}, pg_backend_pid() FROM (SELECT DISTINCT unnest($3::text[]) AS partition ORDER BY 1) u
ON CONFLICT (pipeline, service, partition) DO UPDATE SET owner_epoch = greatest(p.owner_epoch + 1, ${clockEpoch}), owner_pid = pg_backend_pid()
RETURNING partition, owner_epoch, ${columns}`;
  return [
    { text: 'BEGIN' },
    // A frozen owner may sit on the rows in the middle of a transaction: notice that soon.
    { text: `SET LOCAL lock_timeout = '2s'` },
    { text, values: [owner.pipeline, owner.service, partitions] },
    { text: 'COMMIT' },
  ];
}

export function readClaim(result: StepResult | undefined): { held: Map<PartitionId, Held>; progress: Map<PartitionId, Progress> } {
  const held = new Map<PartitionId, Held>();
  const progress = new Map<PartitionId, Progress>();
  for (const [partition, ownerEpoch, ...rest] of result?.rows ?? []) {
    const applied = rest[1] === null ? undefined : progressOf(rest);
    held.set(partition as string, { ownerEpoch: ownerEpoch as string, nextOffset: applied?.nextOffset ?? null });
    if (applied) progress.set(partition as string, applied);
  }
  return { held, progress };
}

function progressOf(row: readonly (string | null)[]): Progress {
  const [logId, nextOffset, lastOffset, term, version, transactionId, committedAtUs, mappingHash] = row;
  return {
    logId: logId ?? '',
    nextOffset: Number(nextOffset),
    lastOffset: Number(lastOffset),
    term: Number(term),
    version: version ?? '',
    transactionId: transactionId ?? '',
    committedAtUs: Number(committedAtUs),
    mappingHash: mappingHash ?? '',
  };
}

/**
 * A group gives a member up when it was silent for ten seconds, and whoever computes for so long at a time is silent there
 * too. So an owner that is frozen has been silent for longer than this when its partitions are claimed, and one that still
 * works has time to finish.
 */
const ownerSilenceSeconds = 8;

/**
 * Ends the backends that hold these partitions and wait for a client that says nothing: a frozen process in the middle
 * of a transaction. What they wrote rolls back, as if they had crashed. Answers how many.
 */
export async function endSilentOwners(session: Session, owner: ProgressOwner, partitions: string): Promise<number> {
  const rows = await session.query(
    'ending a frozen owner of the partitions',
    `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
JOIN (SELECT DISTINCT owner_pid FROM crossfade.progress WHERE pipeline = $1 AND service = $2 AND partition = ANY ($3::text[])) p ON p.owner_pid = a.pid
WHERE a.pid <> pg_backend_pid() AND a.usename = current_user AND a.application_name LIKE 'crossfade %'
  AND a.wait_event_type = 'Client' AND a.xact_start IS NOT NULL AND a.state_change < clock_timestamp() - interval '${ownerSilenceSeconds} seconds'`,
    [owner.pipeline, owner.service, partitions],
  );
  return rows.length;
}

/** Which of these partitions belong to another by now. */
export async function takenFrom(session: Session, owner: ProgressOwner, held: ReadonlyMap<PartitionId, Held>): Promise<PartitionId[]> {
  const rows = await session.query(
    'reading who owns the partitions',
    `SELECT partition, owner_epoch FROM crossfade.progress WHERE pipeline = $1 AND service = $2 AND partition = ANY ($3::text[])`,
    [owner.pipeline, owner.service, arrayLiteral([...held.keys()])],
  );
  return rows.flatMap(([partition, epoch]) => (held.get(partition ?? '')?.ownerEpoch === epoch ? [] : [partition ?? '']));
}

/**
 * Moves a partition's progress, if it still stands where this sink left it and still belongs to it. Otherwise no row
 * matches, the division fails and the whole transaction with it.
 */
export function moveStep(owner: ProgressOwner, partition: PartitionId, held: Held, next: Progress): Step {
  return {
    name: 'crossfade_move',
    text: `WITH moved AS (
  UPDATE crossfade.progress SET log_id = $6, next_offset = $7::bigint, last_offset = $8::bigint, term = $9::bigint, version = $10, transaction_id = $11,
    committed_at = $12::timestamptz, mapping_hash = $13, applied_at = clock_timestamp()
  WHERE pipeline = $1 AND service = $2 AND partition = $3 AND owner_epoch = $4::bigint AND next_offset IS NOT DISTINCT FROM $5::bigint
  RETURNING 1)
SELECT 1 / count(*) FROM moved`,
    values: [
      owner.pipeline,
      owner.service,
      partition,
      held.ownerEpoch,
      held.nextOffset === null ? null : String(held.nextOffset),
      next.logId,
      String(next.nextOffset),
      String(next.lastOffset),
      String(next.term),
      next.version,
      next.transactionId,
      instant(next.committedAtUs),
      next.mappingHash,
    ],
  };
}

/** Microseconds since 1970 as exact ISO text. */
export function instant(us: number): string {
  const ms = Math.floor(us / 1000);
  return new Date(ms).toISOString().replace('Z', `${String(us - ms * 1000).padStart(3, '0')}Z`);
}

/** Progress is forgotten and the epoch raised, so that whoever is at work cannot bring the old one back. */
export function resetStep(owner: ProgressOwner, partitions: string): Step {
  return {
    text: `UPDATE crossfade.progress SET owner_epoch = greatest(owner_epoch + 1, ${clockEpoch}), log_id = NULL, next_offset = NULL, last_offset = NULL, term = NULL,
  version = NULL, transaction_id = NULL, committed_at = NULL, mapping_hash = NULL, applied_at = NULL, arrival = NULL
WHERE pipeline = $1 AND service = $2 AND partition = ANY ($3::text[])`,
    values: [owner.pipeline, owner.service, partitions],
  };
}
