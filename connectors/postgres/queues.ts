/** Queues of refused changes, read back from the target. */
import { parseTableName } from '../../src/core/change.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import { quotedTarget, targetOf } from './identifiers.ts';
import { arrayLiteral } from './literals.ts';
import { envelopeColumn, mine } from './quarantine-table.ts';
import { readChange, StoredShapes } from './queued-change.ts';
import type { RefusalTools } from './refusal.ts';
import type { Session } from './session.ts';
import type { Unit } from './units.ts';

export interface StoredUnit extends Unit {
  readonly id: string;
}

/** Tells queues of several partitions apart. */
export const queueName = (partition: PartitionId, key: string) => `${partition} ${key}`;

export interface StoredQueue {
  readonly partition: PartitionId;
  readonly key: string;
  /** From the head on, not always to the end. */
  readonly units: readonly StoredUnit[];
  /** How many changes it has in all. */
  readonly total: number;
  /** Why its head was refused. */
  readonly reason: string;
  readonly reached: { readonly reachedPartition: PartitionId; readonly reachedOffset: number };
}

const queuesAtOnce = 100;
const changesOfQueue = 50;
const bytesAtOnce = 8 * 1024 * 1024;

/** Longest not tried first, in bytes too, so that every queue has its turn; bounded in keys and bytes, but always at least one change. */
const heldQuery = `WITH heads AS (
  SELECT partition, key, row_number() OVER (ORDER BY tried_at NULLS FIRST, id) AS turn
  FROM crossfade.quarantine WHERE ${mine} AND partition = ANY ($3::text[]) AND state = 'held' ORDER BY turn LIMIT ${queuesAtOnce}),
numbered AS (
  SELECT q.*, turn, row_number() OVER queue AS n, count(*) OVER (PARTITION BY partition, key) AS total
  FROM crossfade.quarantine q JOIN heads USING (partition, key) WHERE ${mine} WINDOW queue AS (PARTITION BY partition, key ORDER BY id)),
measured AS (SELECT *, sum(octet_length(envelope)) OVER (ORDER BY n, turn) - octet_length(envelope) AS bytes_before FROM numbered WHERE n <= ${changesOfQueue})
SELECT partition, key, id, source, target, version, round(extract(epoch FROM committed_at) * 1000000)::bigint, shape, ${envelopeColumn()}, total,
  reason, reached_partition, reached_offset FROM measured WHERE bytes_before < ${bytesAtOnce} ORDER BY id`;

export async function readQueues(session: Session, tools: RefusalTools, partitions: readonly PartitionId[]): Promise<StoredQueue[]> {
  const { pipeline, service } = tools.owner;
  const rows = await session.query('reading held changes', heldQuery, [pipeline, service, arrayLiteral(partitions)]);
  const shapes = new StoredShapes();
  const queues = new Map<string, StoredQueue & { readonly units: StoredUnit[] }>();
  for (const row of rows) {
    const [partition = '', key = '', , , , , , , , total, reason, reachedPartition, reachedOffset] = row as string[];
    const stored = storedUnit(row, tools.mappings, shapes);
    // Its table is not mapped any more: a person may discard it.
    if (!stored) continue;
    const unit = { ...stored, key: queueName(partition, key) };
    const queue = queues.get(unit.key);
    if (queue) queue.units.push(unit);
    else {
      const reached = { reachedPartition: reachedPartition ?? partition, reachedOffset: Number(reachedOffset ?? 0) };
      queues.set(unit.key, { partition, key, units: [unit], total: Number(total), reason: reason ?? '', reached });
    }
  }
  return [...queues.values()];
}

/** `row`: partition, key, id, source, target, version, microseconds of the commit, shape, envelope in base64. */
export function storedUnit(row: readonly (string | null)[], mappings: readonly Mapping[], shapes: StoredShapes): StoredUnit | undefined {
  const [, key = '', id = '', source = '', target = '', version = '', us, shape = '', envelope = ''] = row as string[];
  const mapping = mappingAt(mappings, source, target);
  if (mapping < 0) return undefined;
  const event = readChange({ envelope, version, committedAtUs: Number(us) }, shapes.of(shape), `crossfade.quarantine id ${id}`);
  return { id, key, entry: { mapping, event } };
}

function mappingAt(mappings: readonly Mapping[], source: string, target: string): number {
  const table = parseTableName(source);
  return mappings.findIndex(
    (mapping) =>
      mapping.source.database === table?.database && mapping.source.table === table.table && quotedTarget(targetOf(mapping)) === target,
  );
}
