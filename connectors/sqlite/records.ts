/** The control records and tails of the log's file, as they are read and written. */
import { partitionId } from '../../src/core/partition.ts';
import type { CompleteRecord, PartitionId, PartitionState, StartRecord } from '../../src/core/log-port.ts';
import { corrupt } from '../../src/core/log-errors.ts';
import { guarded } from './errors.ts';
import type { Store } from './store.ts';

interface PartitionRow {
  readonly topic: string;
  readonly number: number;
  readonly start_offset: number;
  readonly end_offset: number;
  readonly complete_offset: number;
  readonly last_offset: number | null;
  readonly last_term: number | null;
  readonly last_version: string | null;
  readonly last_transaction: string | null;
}

export interface Contents {
  readonly start?: StartRecord;
  readonly complete?: CompleteRecord;
  readonly partitions: ReadonlyMap<PartitionId, PartitionState>;
}

/** Everything but the batches, as of one instant. */
export function readContents(store: Store): Contents {
  return guarded(store.path, () => {
    store.db.exec('BEGIN');
    try {
      return contentsOf(store);
    } finally {
      store.db.exec('COMMIT');
    }
  });
}

function contentsOf(store: Store): Contents {
  const partitions = new Map<PartitionId, PartitionState>();
  const ends: Record<PartitionId, number> = {};
  for (const row of store.db.prepare('SELECT * FROM partitions ORDER BY topic, number').iterate()) {
    const one = row as unknown as PartitionRow;
    const id = partitionId(one.topic, one.number);
    partitions.set(id, stateOf(one, store.logId));
    if (one.complete_offset > 0) ends[id] = one.complete_offset;
  }
  const start = controlRecord(store, 'start') as StartRecord | undefined;
  const complete = controlRecord(store, 'complete') as Omit<CompleteRecord, 'ends'> | undefined;
  return { partitions, ...(start && { start }), ...(complete && { complete: { ...complete, ends } }) };
}

function stateOf(row: PartitionRow, logId: string): PartitionState {
  const { last_offset: offset, last_term: term, last_version: version, last_transaction: transactionId } = row;
  const state = { logId, startOffset: row.start_offset, endOffset: row.end_offset };
  if (offset === null || term === null || version === null) return state;
  return { ...state, last: { offset, term, version, transactionId: transactionId ?? '' } };
}

function controlRecord(store: Store, kind: 'start' | 'complete'): unknown {
  const record = store.db.prepare('SELECT record FROM control WHERE kind = ?').get(kind)?.['record'];
  if (record === undefined) return undefined;
  try {
    return JSON.parse(String(record));
  } catch {
    throw corrupt(`its ${kind} record`, 'it is not JSON');
  }
}
