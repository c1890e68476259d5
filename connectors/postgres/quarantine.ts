/** The quarantine as a person deals with it: each call a transaction, under the same fence as whoever applies the partition. */
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Quarantine, QueuedChange, QueuedDetail, QueuedState, QueueOutcome, QueueTotals } from '../../src/core/quarantine-port.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import { Careful, immediate } from './careful.ts';
import { Plans } from './plans.ts';
import { clockEpoch, type ProgressOwner, rollBack } from './progress.ts';
import { envelopeColumn, mine, type QuarantineForm, quarantineTable } from './quarantine-table.ts';
import { readChange, StoredShapes } from './queued-change.ts';
import { storedUnit } from './queues.ts';
import { translated, type Session } from './session.ts';
import { begin, commit } from './transaction-steps.ts';

const us = (column: string) => `round(extract(epoch FROM ${column}) * 1000000)::bigint`;
const listed = `id, state, source, target, partition, key, op, version, transaction_id, ${us('committed_at')}, ${us('first_seen')}, code, reason,
  count(*) OVER (PARTITION BY partition, key), row_number() OVER (PARTITION BY partition, key ORDER BY id) AS n`;

export class PostgresQuarantine implements Quarantine {
  readonly #use: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
  readonly #owner: ProgressOwner;
  readonly #mappings: readonly Mapping[];

  /** `use` runs its work alone on the connection, with no transaction open. */
  constructor(use: <T>(work: (session: Session) => Promise<T>) => Promise<T>, owner: ProgressOwner, mappings: readonly Mapping[]) {
    this.#use = use;
    this.#owner = owner;
    this.#mappings = mappings;
  }

  list(which: 'heads' | 'all'): Promise<readonly QueuedChange[]> {
    return this.#read([], async (session) => {
      const text = `SELECT * FROM (SELECT ${listed} FROM crossfade.quarantine WHERE ${mine}) q ${which === 'heads' ? 'WHERE n = 1 ' : ''}ORDER BY id`;
      return (await session.query('reading crossfade.quarantine', text, this.#ours())).map(changeOf);
    });
  }

  totals(): Promise<readonly QueueTotals[]> {
    return this.#read([], async (session) => {
      const rows = await session.query(
        'counting crossfade.quarantine',
        `SELECT source, count(*) FILTER (WHERE state = 'held'), count(*) FILTER (WHERE state = 'quarantined'), count(*) FILTER (WHERE state = 'behind'),
  ${us('min(first_seen)')} FROM crossfade.quarantine WHERE ${mine} GROUP BY source ORDER BY source`,
        this.#ours(),
      );
      return rows.map(([source, held, quarantined, behind, oldestUs]) => ({
        source: source ?? '',
        held: Number(held),
        quarantined: Number(quarantined),
        behind: Number(behind),
        oldestMs: Math.floor(Number(oldestUs) / 1000),
      }));
    });
  }

  show(id: string): Promise<QueuedDetail | undefined> {
    return this.#read(undefined, async (session, form) => {
      const text = `SELECT q.*, t.shape, ${envelopeColumn(form, 't.')} FROM (SELECT ${listed} FROM crossfade.quarantine WHERE ${mine}
  AND (partition, key) = (SELECT partition, key FROM crossfade.quarantine WHERE ${mine} AND id = $3::bigint)) q JOIN crossfade.quarantine t USING (id) WHERE q.id = $3::bigint`;
      const [row] = await session.query('reading crossfade.quarantine', text, [...this.#ours(), id]);
      if (!row) return undefined;
      const change = changeOf(row);
      const [shape, envelope] = row.slice(15) as string[];
      const stored = { envelope: envelope ?? '', version: change.version, committedAtUs: change.committedAtUs };
      return { ...change, event: readChange(stored, new StoredShapes().of(shape ?? ''), `crossfade.quarantine id ${id}`) };
    });
  }

  retry(id: string): Promise<QueueOutcome | undefined> {
    return this.#change(id, async (session, queue) => this.#retry(session, queue));
  }

  discard(id: string): Promise<QueueOutcome | undefined> {
    return this.#change(id, async (session, queue) => {
      await session.query('discarding a change', `DELETE FROM crossfade.quarantine WHERE ${mine} AND id = $3::bigint`, [
        ...this.#ours(),
        id,
      ]);
      const rest = { ...queue, size: queue.size - 1 };
      if (rest.size === 0) return { key: queue.key, applied: 0, left: 0 };
      // What waits behind a head that stays is not its turn.
      if (id !== queue.headId) return { key: queue.key, applied: 0, left: rest.size };
      const outcome = await this.#retry(session, rest);
      if (outcome.left > 0) await this.#promote(session, rest, outcome);
      return outcome;
    });
  }

  /** Inside the transaction: the row as the last change of the queue says, or why not. */
  async #retry(session: Session, { partition, key, size, form }: QueueRef): Promise<QueueOutcome> {
    const values = [...this.#ours(), partition, key];
    const text = `SELECT partition, key, id, source, target, version, ${us('committed_at')}, shape, ${envelopeColumn(form)} FROM crossfade.quarantine
WHERE ${mine} AND partition = $3 AND key = $4 ORDER BY id DESC LIMIT 1`;
    const [row = []] = await session.query('reading crossfade.quarantine', text, values);
    const last = storedUnit(row, this.#mappings, new StoredShapes());
    if (!last)
      return { key, applied: 0, left: size, code: 'TARGET_MAPPING_CHANGED', reason: 'its table is not mapped to this target any more' };
    const plans = new Plans(this.#mappings);
    await plans.prepare(session, [last.entry]);
    await session.run([immediate]);
    const careful = new Careful({ session, planOf: (entry) => plans.of(entry), where: 'from quarantine' });
    await careful.apply([last]);
    const error: CrossfadeError | undefined = [...careful.queues.values()][0]?.fault.error;
    if (error) return { key, applied: 0, left: size, code: error.code, reason: error.message };
    await session.query('emptying a queue', `DELETE FROM crossfade.quarantine WHERE ${mine} AND partition = $3 AND key = $4`, values);
    return { key, applied: size, left: 0 };
  }

  async #promote(session: Session, { partition, key }: QueueRef, { code, reason }: QueueOutcome): Promise<void> {
    const text = `UPDATE crossfade.quarantine SET state = 'quarantined', code = $5, reason = $6
WHERE id = (SELECT min(id) FROM crossfade.quarantine WHERE ${mine} AND partition = $3 AND key = $4)`;
    await session.query('moving a queue up', text, [...this.#ours(), partition, key, code ?? null, reason ?? null]);
  }

  /**
   * Holds the partition's row of progress, as its owner does while he writes, and raises the owner epoch: whoever applies
   * the partition knows these queues by heart, fails at his next commit, and reads them again with his claim.
   */
  async #change(id: string, work: (session: Session, queue: QueueRef) => Promise<QueueOutcome>): Promise<QueueOutcome | undefined> {
    return this.#read(undefined, async (session, form) => {
      try {
        const where = `SELECT partition FROM crossfade.quarantine WHERE ${mine} AND id = $3::bigint`;
        const lock = {
          text: `SELECT 1 FROM crossfade.progress WHERE ${mine} AND partition = (${where}) FOR UPDATE`,
          values: [...this.#ours(), id],
        };
        await session.run([begin, { text: `SET LOCAL lock_timeout = '5s'` }, lock]);
        const queue = await this.#queueOf(session, id, form);
        const outcome = queue && (await work(session, queue));
        if (!queue || !outcome) {
          await rollBack(session);
          return undefined;
        }
        const raise = {
          text: `UPDATE crossfade.progress SET owner_epoch = greatest(owner_epoch + 1, ${clockEpoch}) WHERE ${mine} AND partition = $3`,
          values: [...this.#ours(), queue.partition],
        };
        await session.run(outcome.left === queue.size ? [{ text: 'ROLLBACK' }] : [raise, commit]);
        return outcome;
      } catch (error) {
        await rollBack(session);
        throw translated(error, 'changing crossfade.quarantine');
      }
    });
  }

  async #queueOf(session: Session, id: string, form: QuarantineForm): Promise<QueueRef | undefined> {
    const text = `SELECT partition, key, id FROM crossfade.quarantine WHERE ${mine}
AND (partition, key) = (SELECT partition, key FROM crossfade.quarantine WHERE ${mine} AND id = $3::bigint) ORDER BY id FOR UPDATE`;
    const rows = await session.query('reading crossfade.quarantine', text, [...this.#ours(), id]);
    const [head] = rows;
    return head ? { partition: head[0] ?? '', key: head[1] ?? '', headId: head[2] ?? '', size: rows.length, form } : undefined;
  }

  /** `form`: nobody who only looks changes a table that an earlier release made, and may still use. */
  #read<T>(none: T, work: (session: Session, form: QuarantineForm) => Promise<T>): Promise<T> {
    return this.#use(async (session) => {
      const form = await quarantineTable(session);
      return form === 'missing' ? none : work(session, form);
    });
  }

  #ours(): [string, string] {
    return [this.#owner.pipeline, this.#owner.service];
  }
}

interface QueueRef {
  readonly partition: PartitionId;
  readonly key: string;
  readonly headId: string;
  readonly size: number;
  readonly form: QuarantineForm;
}

function changeOf(row: readonly (string | null)[]): QueuedChange {
  const [id, state, source, target, partition, key, op, version, transactionId, committedUs, seenUs, code, reason, size, n] = row as (
    | string
    | null
  )[];
  return {
    id: id ?? '',
    state: state as QueuedState,
    source: source ?? '',
    target: target ?? '',
    partition: partition ?? '',
    key: key ?? '',
    op: op as QueuedChange['op'],
    version: version ?? '',
    transactionId: transactionId ?? '',
    committedAtUs: Number(committedUs),
    firstSeenMs: Math.floor(Number(seenUs) / 1000),
    behind: n === '1' ? Number(size) - 1 : 0,
    ...(code == null ? {} : { code }),
    ...(reason == null ? {} : { reason }),
  };
}
