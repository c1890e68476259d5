/**
 * A TRUNCATE in a stream of several partitions: each partition notes in the target that it came, and the last one empties
 * the table and moves the progress of all of them, in one transaction. What was noted holds while its partition still
 * stands where it stood then.
 */
import { CrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Progress, SinkBatch } from '../../src/core/sink-port.ts';
import type { RowStep } from './row-steps.ts';
import { postgresError, sqlState } from './errors.ts';
import { arrayLiteral } from './literals.ts';
import { StepsFailed, type Step, type StepResult } from './pipeline.ts';
import { instant, rollBack, type Held, type ProgressOwner } from './progress.ts';
import { translated, type Session } from './session.ts';
import { begin, commit } from './transaction-steps.ts';

export interface Arrival {
  readonly owner: ProgressOwner;
  readonly batch: SinkBatch;
  readonly all: readonly PartitionId[];
  readonly held: Held;
  /** What empties the tables; asked for inside the transaction, once everybody has come. */
  readonly work: () => Promise<readonly RowStep[]>;
}

/** `moved`: somebody, or this call, did the work. `elsewhere`: the partition is another's, or stands where nobody left it. */
export type ArrivalOutcome = 'moved' | 'waiting' | 'elsewhere';

const mine = 'pipeline = $1 AND service = $2 AND partition';

type Standing = Omit<Arrival, 'work' | 'all'>;

/** Where a partition stands; inside an open transaction, where it stands there. */
export async function standsAt(session: Session, standing: Standing): Promise<ArrivalOutcome> {
  const [row] = await session.query('coming to a barrier', standingQuery, standingValues(standing));
  return judged(row, standing);
}

const standingQuery = `SELECT owner_epoch, next_offset, version FROM crossfade.progress WHERE ${mine} = $3`;
const standingValues = ({ owner, batch }: Standing) => [owner.pipeline, owner.service, batch.partition];

function judged(row: StepResult['rows'][number] | undefined, { batch, held }: Standing): ArrivalOutcome {
  const [epoch, nextOffset, version] = row ?? [];
  if (epoch !== held.ownerEpoch) return 'elsewhere';
  if (nextOffset === String(batch.progress.nextOffset) && version === batch.progress.version) return 'moved';
  return nextOffset === (held.nextOffset === null ? null : String(held.nextOffset)) ? 'waiting' : 'elsewhere';
}

/** Begins and ends a transaction of its own. */
export async function arrive(session: Session, arrival: Arrival): Promise<ArrivalOutcome> {
  try {
    const seen = await standsAt(session, arrival);
    if (seen !== 'waiting' || (await waitsForOthers(session, arrival))) return seen;
    // Never waits for a lock: who is at our row looks whether we have come, or does the work, however long that takes.
    const lock = { text: `${standingQuery} FOR UPDATE SKIP LOCKED`, values: standingValues(arrival) };
    const row = (await session.run([begin, lock]))[1]?.rows[0];
    const stands = row === undefined ? 'waiting' : judged(row, arrival);
    if (row === undefined || stands !== 'waiting') {
      await rollBack(session);
      return stands;
    }
    const isComplete = allHaveCome(arrival, (await session.run([noteStep(arrival), lookStep(arrival)]))[1]);
    const rows = isComplete ? await arrival.work() : [];
    faultPoint('sink:before-commit');
    await finish(session, arrival.batch, isComplete ? [...rows, moveAllStep(arrival)] : []);
    faultPoint('sink:after-commit');
    return isComplete ? 'moved' : 'waiting';
  } catch (error) {
    await rollBack(session);
    throw error instanceof StepsFailed ? translated(error, 'coming to a barrier') : error;
  }
}

/** Noted already, and somebody is still missing: asking again and again costs no transaction. */
async function waitsForOthers(session: Session, { owner, batch, all }: Arrival): Promise<boolean> {
  const text = `SELECT partition FROM crossfade.progress
WHERE ${mine} = ANY ($3::text[]) AND arrival->>'version' = $4 AND next_offset IS NOT DISTINCT FROM (arrival->>'from')::bigint`;
  const values = [owner.pipeline, owner.service, arrayLiteral(all), batch.progress.version];
  const come = new Set((await session.query('coming to a barrier', text, values)).map(([partition]) => partition));
  return come.has(batch.partition) && come.size < new Set(all).size;
}

async function finish(session: Session, { partition, progress }: SinkBatch, rows: readonly RowStep[]): Promise<void> {
  try {
    const results = await session.run([...rows, commit]);
    if (results.at(-1)?.tag === 'COMMIT') return;
  } catch (error) {
    if (!(error instanceof StepsFailed)) throw error;
    const row = rows[error.results.length];
    if (row?.guard && sqlState(error.cause) === '22012') throw row.guard;
    const where = `partition ${partition} before offset ${progress.nextOffset}`;
    throw postgresError(error.cause, { doing: row ? `${row.title}, ${where}` : `writing ${where}` });
  }
  throw new CrossfadeError({
    code: 'TARGET_BUSY',
    fault: 'retry',
    message: `the server rolled a transaction of ${partition} back instead of committing it`,
    remedy: 'It is tried again. If it persists, look for triggers in the target that end transactions.',
  });
}

function noteStep({ owner, batch, held }: Arrival): Step {
  const { committedAtUs, ...to } = batch.progress;
  const note = JSON.stringify({ from: held.nextOffset, ...to, committedAt: instant(committedAtUs) } satisfies Note);
  return {
    text: `UPDATE crossfade.progress SET arrival = $4::jsonb WHERE ${mine} = $3`,
    values: [owner.pipeline, owner.service, batch.partition, note],
  };
}

interface Note extends Omit<Progress, 'committedAtUs'> {
  readonly from: number | null;
  readonly committedAt: string;
}

/** Who is at work on his row right now has not come, or comes at this moment: one of us asks again. */
function lookStep({ owner, batch, all }: Arrival): Step {
  return {
    text: `SELECT arrival->>'version' = $4 AND next_offset IS NOT DISTINCT FROM (arrival->>'from')::bigint FROM crossfade.progress
WHERE ${mine} = ANY ($3::text[]) FOR UPDATE SKIP LOCKED`,
    values: [owner.pipeline, owner.service, arrayLiteral(all), batch.progress.version],
  };
}

function allHaveCome({ all }: Arrival, found: StepResult | undefined): boolean {
  const come = found?.rows.filter(([hasCome]) => hasCome === 't').length ?? 0;
  return come === new Set(all).size;
}

function moveAllStep({ owner, all }: Arrival): RowStep {
  return {
    title: 'moving all partitions behind a barrier',
    text: `UPDATE crossfade.progress SET log_id = arrival->>'logId', next_offset = (arrival->>'nextOffset')::bigint, last_offset = (arrival->>'lastOffset')::bigint,
  term = (arrival->>'term')::bigint, version = arrival->>'version', transaction_id = arrival->>'transactionId',
  committed_at = (arrival->>'committedAt')::timestamptz, mapping_hash = arrival->>'mappingHash', applied_at = clock_timestamp(), arrival = NULL
WHERE ${mine} = ANY ($3::text[])`,
    values: [owner.pipeline, owner.service, arrayLiteral(all)],
  };
}
