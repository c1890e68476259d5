/** Batches into transactions of the target: rows and progress together, or not at all. */
import { CrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Entry, Mapping, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import { arrive, standsAt } from './barrier.ts';
import { foldedSteps, singleSteps, type RowStep } from './batch.ts';
import { isConnectionLost, postgresError, sqlState } from './errors.ts';
import { StepsFailed, type Step } from './pipeline.ts';
import { Plans } from './plans.ts';
import { moveStep, rollBack, type Held, type ProgressOwner } from './progress.ts';
import { withPlace } from './refused-place.ts';
import type { Session } from './session.ts';
import { begin, commit, defer, release, savepoint } from './transaction-steps.ts';
import { emptyingSteps } from './truncate.ts';

/** A transaction that has begun and waits: what each of its partitions has reached inside it. */
interface OpenTransaction {
  readonly held: Map<PartitionId, Held>;
  readonly open: Set<PartitionId>;
}

interface Frame {
  readonly batch: SinkBatch;
  readonly before: readonly Step[];
  readonly move: Step;
  readonly after: readonly Step[];
}

/** What one sink holds and has begun. One call at a time: its owner sees to it. */
export class Writer {
  readonly #owner: ProgressOwner;
  readonly #logger: Logger;
  readonly #plans: Plans;
  /** As committed. */
  readonly #held = new Map<PartitionId, Held>();
  #transaction: OpenTransaction | undefined;

  constructor(owner: ProgressOwner, mappings: readonly Mapping[], logger: Logger) {
    this.#owner = owner;
    this.#logger = logger;
    this.#plans = new Plans(mappings);
  }

  /** A transaction has begun and waits for its last part. */
  get isOpen(): boolean {
    return this.#transaction !== undefined;
  }

  /** These partitions are ours from now on, and stand so. */
  take(held: ReadonlyMap<PartitionId, Held>): void {
    for (const [partition, hold] of held) this.#held.set(partition, hold);
  }

  drop(partitions: readonly PartitionId[]): void {
    for (const partition of partitions) this.#held.delete(partition);
  }

  /** After this, only what was committed counts. */
  async abandon(session: Session): Promise<void> {
    if (this.#transaction) await rollBack(session);
    this.#transaction = undefined;
    if (session.lost) this.#held.clear();
  }

  /** The connection is going; the server rolls back by itself. */
  forget(): void {
    this.#transaction = undefined;
  }

  async write(session: Session, batch: SinkBatch): Promise<WriteOutcome> {
    try {
      const { barrier } = batch;
      return await (barrier === undefined ? this.#write(session, batch) : this.#arrive(session, batch, barrier));
    } catch (error) {
      const fromOffset = (this.#transaction?.held ?? this.#held).get(batch.partition)?.nextOffset ?? 0;
      await this.abandon(session);
      throw withPlace(error, batch, fromOffset, (entry) => this.#plans.of(entry));
    }
  }

  async #write(session: Session, batch: SinkBatch): Promise<'committed' | 'open'> {
    const { partition, progress, entries } = batch;
    const held = (this.#transaction?.held ?? this.#held).get(partition);
    if (!held) throw fenced(partition);
    await this.#plans.prepare(session, entries);
    this.#plans.alterations.take();
    const joining = this.#transaction !== undefined;
    const transaction: OpenTransaction = (this.#transaction ??= { held: new Map(this.#held), open: new Set() });
    if (batch.open) transaction.open.add(partition);
    else transaction.open.delete(partition);
    const staysOpen = transaction.open.size > 0;
    // A transaction that begins open needs a savepoint too, to fall back without losing what comes next.
    const before = joining ? [savepoint] : staysOpen ? [begin, savepoint] : [begin];
    const after = staysOpen ? [release] : [commit];
    const frame: Frame = { batch, before, move: moveStep(this.#owner, partition, held, progress), after };
    const planOf = (entry: Entry) => this.#plans.of(entry);
    const rows = foldedSteps(entries, planOf, { mayStage: this.#plans.mayStage, clearStage: joining });
    if (!staysOpen) faultPoint('sink:before-commit');
    try {
      await this.#send(session, frame, rows);
    } catch (error) {
      // Also for a single change: what makes it right may come in a later part of the same transaction.
      if (!(error instanceof ConstraintViolated)) throw error;
      await this.#fallBack(session, frame, singleSteps(entries, planOf));
    }
    this.#tellAlterations(partition);
    transaction.held.set(partition, { ownerEpoch: held.ownerEpoch, nextOffset: progress.nextOffset });
    if (staysOpen) return 'open';
    this.take(transaction.held);
    this.#transaction = undefined;
    faultPoint('sink:after-commit');
    return 'committed';
  }

  /** A TRUNCATE, which comes in a batch of its own: see barrier.ts. */
  async #arrive(session: Session, batch: SinkBatch, all: readonly PartitionId[]): Promise<'committed' | 'waiting'> {
    const { partition, entries } = batch;
    const held = (this.#transaction?.held ?? this.#held).get(partition);
    if (!held) throw fenced(partition);
    await this.#plans.prepare(session, entries);
    const work = () => emptyingSteps(session, entries, this.#plans);
    // What is open here is not durable, and what it holds of this partition comes before the barrier.
    const outcome = this.#transaction
      ? await standsAt(session, { owner: this.#owner, batch, held })
      : await arrive(session, { owner: this.#owner, batch, all, held, work });
    if (outcome === 'elsewhere') {
      this.#held.delete(partition);
      throw fenced(partition);
    }
    if (outcome === 'waiting') return 'waiting';
    const moved = { ownerEpoch: held.ownerEpoch, nextOffset: batch.progress.nextOffset };
    this.#held.set(partition, moved);
    this.#transaction?.held.set(partition, moved);
    return 'committed';
  }

  #tellAlterations(partition: PartitionId): void {
    const altered = this.#plans.alterations.take();
    if (altered) this.#logger.warn({ partition, altered }, 'values that the target cannot hold were altered as the configuration says');
  }

  /** The sets collided: the same batch again, one change at a time in the source's order, its constraints judged at the end. */
  async #fallBack(session: Session, frame: Frame, rows: readonly RowStep[]): Promise<void> {
    const { partition, entries } = frame.batch;
    this.#logger.debug({ partition, entries: entries.length }, 'batch violates a constraint as a set, applying its changes one by one');
    const toSavepoint = frame.before.includes(savepoint);
    const before = toSavepoint ? [{ text: 'ROLLBACK TO SAVEPOINT crossfade' }, defer] : [{ text: 'ROLLBACK' }, begin, defer];
    try {
      await this.#send(session, { ...frame, before }, rows);
    } catch (error) {
      throw error instanceof ConstraintViolated ? error.outward : error;
    }
  }

  async #send(session: Session, { batch, before, move, after }: Frame, rows: readonly RowStep[]): Promise<void> {
    const steps = [...before, move, ...rows, ...after];
    try {
      const results = await session.run(steps);
      // COMMIT of a transaction that the server has given up answers ROLLBACK, without an error.
      if (after.includes(commit) && results.at(-1)?.tag !== 'COMMIT') throw notCommitted(batch.partition);
    } catch (error) {
      if (!(error instanceof StepsFailed)) throw error;
      const { cause, results } = error;
      const failed = results.length - before.length - 1;
      const isDivision = sqlState(cause) === '22012';
      if (failed === -1 && isDivision) {
        this.#held.delete(batch.partition);
        throw fenced(batch.partition);
      }
      const row = rows[failed];
      if (row?.guard && isDivision) throw row.guard;
      const where = `partition ${batch.partition} before offset ${batch.progress.nextOffset}`;
      const ours = postgresError(cause, { doing: row ? `${row.title}, ${where}` : `writing ${where}` });
      if (row && !isConnectionLost(cause) && setViolations.has(sqlState(cause) ?? '')) throw new ConstraintViolated(ours);
      throw ours;
    }
  }
}

/** Unique and foreign-key violations. Not 21000, one row touched twice: folded keys differ, so the target takes two of them for one. */
const setViolations = new Set(['23505', '23503']);

/** The same batch may pass change by change. */
class ConstraintViolated extends Error {
  readonly outward: CrossfadeError;

  constructor(outward: CrossfadeError) {
    super('a constraint was violated');
    this.outward = outward;
  }
}

function fenced(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `another owner took ${partition}, or its progress in the target is not what this one left there`,
    remedy: 'Nothing to do: the owner of the partition goes on, or this one claims it again.',
  });
}

function notCommitted(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_BUSY',
    fault: 'retry',
    message: `the server rolled a transaction of ${partition} back instead of committing it`,
    remedy: 'It is tried again. If it persists, look for triggers in the target that end transactions.',
  });
}
