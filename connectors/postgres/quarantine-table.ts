/** The table of refused changes in the target: queues by key, each with the change that was refused at its head. */
import type { PartitionId } from '../../src/core/log-port.ts';
import type { QueuedState } from '../../src/core/quarantine-port.ts';
import { arrayLiteral } from './literals.ts';
import type { Step } from './pipeline.ts';
import { type ProgressOwner, rollBack } from './progress.ts';
import { changeBytes, shapeText } from './queued-change.ts';
import type { RowFault } from './row-fault.ts';
import { translated, type Session } from './session.ts';
import { begin, commit } from './transaction-steps.ts';
import type { Unit } from './units.ts';

/** Shapes are texts of ASCII alone and changes bytes, so that a database of any encoding holds them. */
export const createQuarantineStatement = `CREATE TABLE crossfade.quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pipeline text NOT NULL,
  service text NOT NULL,
  partition text NOT NULL,
  source text NOT NULL,
  target text NOT NULL,
  key text NOT NULL,
  state text NOT NULL,
  op text NOT NULL,
  version text NOT NULL,
  transaction_id text NOT NULL,
  committed_at timestamptz NOT NULL,
  first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
  tried_at timestamptz,
  code text,
  reason text,
  reached_partition text,
  reached_offset bigint,
  shape text NOT NULL,
  envelope bytea NOT NULL
);
CREATE INDEX quarantine_queue ON crossfade.quarantine (pipeline, service, partition, key, id);`;

/** Ours are the first two of `values`, everywhere. */
export const mine = 'pipeline = $1 AND service = $2';

/** For a table that an earlier release made, whose changes were texts of ASCII. */
export const envelopeBytesStatement = `ALTER TABLE crossfade.quarantine ALTER COLUMN envelope TYPE bytea USING convert_to(envelope, 'UTF8');`;

export type QuarantineForm = 'missing' | 'old' | 'current';

/** A change as a query hands it out, in base64. */
export const envelopeColumn = (form: QuarantineForm = 'current', table = '') =>
  form === 'old' ? `encode(convert_to(${table}envelope, 'UTF8'), 'base64')` : `encode(${table}envelope, 'base64')`;

/** `old`: as a release made it that kept changes as text. */
export async function quarantineTable(session: Session): Promise<QuarantineForm> {
  const rows = await session.query(
    'looking for crossfade.quarantine in the target',
    `SELECT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'envelope' AND a.atttypid = 'bytea'::regtype)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'crossfade' AND c.relname = 'quarantine'`,
  );
  return rows.length === 0 ? 'missing' : rows[0]?.[0] === 't' ? 'current' : 'old';
}

export async function quarantineTableExists(session: Session): Promise<boolean> {
  return (await quarantineTable(session)) !== 'missing';
}

/** Behind the table of progress, whose schema it shares. */
export async function ensureQuarantineTable(session: Session): Promise<void> {
  if ((await quarantineTable(session)) === 'current') return;
  const [table = '', index = ''] = createQuarantineStatement.split(/;\n?/);
  try {
    // Two services that start together would collide between looking and creating.
    await session.run([begin, { text: `SELECT pg_advisory_xact_lock(hashtext('crossfade.progress'))` }]);
    const found = await quarantineTable(session);
    const steps = found === 'old' ? [envelopeBytesStatement] : found === 'missing' ? [table, index] : [];
    await session.run([...steps.map((text) => ({ text })), commit]);
  } catch (error) {
    await rollBack(session);
    throw translated(error, 'creating crossfade.quarantine in the target');
  }
}

/**
 * How far the partition that was furthest had come when a change was refused: behind its last record, for where it goes on may
 * lie behind a gap, and the ends that it is compared with are those of records.
 */
export interface Reached {
  readonly partition: PartitionId;
  readonly offset: string;
}

/** Inside the transaction that refused it, so that its own partition counts as it will stand. */
export async function readReached(session: Session, { pipeline, service }: ProgressOwner): Promise<Reached | undefined> {
  const [row] = await session.query(
    'reading how far the partitions are',
    `SELECT partition, last_offset + 1 FROM crossfade.progress WHERE ${mine} AND last_offset IS NOT NULL ORDER BY version COLLATE "C" DESC LIMIT 1`,
    [pipeline, service],
  );
  return row ? { partition: row[0] ?? '', offset: row[1] ?? '' } : undefined;
}

export interface Queueing {
  readonly unit: Unit;
  readonly state: QueuedState;
  /** Of the head of a queue. */
  readonly fault?: RowFault;
  readonly reached?: Reached;
}

/** Where in source and target a unit's change belongs. */
export interface Place {
  readonly owner: ProgressOwner;
  readonly partition: PartitionId;
  readonly source: string;
  readonly target: string;
}

export function queueStep({ owner, partition, source, target }: Place, { unit, state, fault, reached }: Queueing): Step {
  const { event } = unit.entry;
  return {
    name: 'crossfade_queue',
    text: `INSERT INTO crossfade.quarantine (pipeline, service, partition, source, target, key, state, op, version, transaction_id, committed_at,
  code, reason, reached_partition, reached_offset, shape, envelope)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, to_timestamp($11::numeric / 1000000), $12, $13, $14, $15::bigint, $16, $17)`,
    values: [
      owner.pipeline,
      owner.service,
      partition,
      source,
      target,
      unit.key,
      state,
      event.op,
      event.version,
      event.transactionId,
      String(event.committedAtUs),
      fault?.error.code ?? null,
      fault?.error.message ?? null,
      reached?.partition ?? null,
      reached?.offset ?? null,
      shapeText(event.schema),
      changeBytes(event),
    ],
  };
}

/** A TRUNCATE makes older changes of its table pointless. */
export function discardOlderStep({ pipeline, service }: ProgressOwner, target: string, version: string): Step {
  return {
    text: `DELETE FROM crossfade.quarantine WHERE ${mine} AND target = $3 AND version COLLATE "C" < $4`,
    values: [pipeline, service, target, version],
  };
}

/** A replay from the start meets them again. */
export function discardAllStep({ pipeline, service }: ProgressOwner, partitions: readonly PartitionId[]): Step {
  return {
    text: `DELETE FROM crossfade.quarantine WHERE ${mine} AND partition = ANY ($3::text[])`,
    values: [pipeline, service, arrayLiteral(partitions)],
  };
}

export interface BlockedKey {
  readonly partition: PartitionId;
  readonly key: string;
  readonly isHeld: boolean;
}

/** The keys that have a queue. */
export async function readBlocked(
  session: Session,
  { pipeline, service }: ProgressOwner,
  partitions: readonly PartitionId[],
): Promise<BlockedKey[]> {
  const rows = await session.query(
    'reading which keys are in quarantine',
    `SELECT DISTINCT ON (partition, key) partition, key, state FROM crossfade.quarantine
WHERE ${mine} AND partition = ANY ($3::text[]) ORDER BY partition, key, id`,
    [pipeline, service, arrayLiteral(partitions)],
  );
  return rows.map(([partition, key, state]) => ({ partition: partition ?? '', key: key ?? '', isHeld: state === 'held' }));
}

/** The head of a queue has a new reason, or becomes the head because what was before it is gone. */
export function markStep(id: string, state: QueuedState, fault: RowFault | undefined, reached?: Reached): Step {
  return {
    name: 'crossfade_queue_mark',
    text: `UPDATE crossfade.quarantine SET state = $2, code = coalesce($3, code), reason = coalesce($4, reason),
  reached_partition = coalesce($5, reached_partition), reached_offset = coalesce($6::bigint, reached_offset), tried_at = clock_timestamp() WHERE id = $1::bigint`,
    values: [id, state, fault?.error.code ?? null, fault?.error.message ?? null, reached?.partition ?? null, reached?.offset ?? null],
  };
}

/** What stands first now was never refused itself: its time begins with what has been reached by now. */
export function promoteStep({ pipeline, service }: ProgressOwner, partition: PartitionId, key: string, reached: Reached | undefined): Step {
  return {
    text: `UPDATE crossfade.quarantine SET state = 'held', code = 'TARGET_CONSTRAINT', reason = 'not tried yet', reached_partition = $5, reached_offset = $6::bigint
WHERE id = (SELECT min(id) FROM crossfade.quarantine WHERE ${mine} AND partition = $3 AND key = $4)`,
    values: [pipeline, service, partition, key, reached?.partition ?? partition, reached?.offset ?? '0'],
  };
}

/** Up to and with this change. */
export function dequeueStep({ pipeline, service }: ProgressOwner, partition: PartitionId, key: string, throughId: string): Step {
  return {
    name: 'crossfade_dequeue',
    text: `DELETE FROM crossfade.quarantine WHERE ${mine} AND partition = $3 AND key = $4 AND id <= $5::bigint`,
    values: [pipeline, service, partition, key, throughId],
  };
}
