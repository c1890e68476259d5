/** Batches into transactions of the target: rows and progress together, or not at all. */
import { faultPoint } from '../../src/core/fault-point.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Entry, Mapping, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import type { Apart } from './alterations.ts';
import { arrive, standsAt } from './barrier.ts';
import { immediate } from './careful.ts';
import { endBatch, finish, whyNot } from './ending.ts';
import { postgresError } from './errors.ts';
import { quotedTarget } from './identifiers.ts';
import { Keeper } from './keeper.ts';
import { StepsFailed, type Step } from './pipeline.ts';
import { Plans } from './plans.ts';
import { moveStep, rollBack, type Held, type ProgressOwner } from './progress.ts';
import { discardOlderStep } from './quarantine-table.ts';
import type { Poison } from './refusal.ts';
import { placeIn, withPlace } from './refused-place.ts';
import type { RowStep } from './row-steps.ts';
import { foldedRows, RowRefused } from './row-refused.ts';
import type { Session } from './session.ts';
import { begin, commit, release, rollback, savepoint, toSavepoint } from './transaction-steps.ts';
import { emptyingSteps } from './truncate.ts';
import { writeTogether } from './together.ts';
import { fenced, notCommitted } from './writer-errors.ts';

/** A transaction that has begun and waits: what each of its partitions has reached inside it. */
interface OpenTransaction {
  readonly held: Map<PartitionId, Held>;
  readonly open: Set<PartitionId>;
  /** Something was refused in it, and its later parts may make it right. */
  holds: boolean;
}

/** The steps of a batch's rows, and what policies changed in them. */
type Spelled = Apart<readonly RowStep[]>;

interface Frame {
  readonly batch: SinkBatch;
  readonly where: string;
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
  /** What it held when its connection was lost. */
  #lost: ReadonlyMap<PartitionId, Held> | undefined;
  #transaction: OpenTransaction | undefined;
  readonly #keeper: Keeper;
  readonly #prepared = new WeakMap<readonly Entry[], Spelled>();

  constructor(owner: ProgressOwner, mappings: readonly Mapping[], logger: Logger, poison: Poison) {
    this.#owner = owner;
    this.#logger = logger;
    this.#plans = new Plans(mappings);
    this.#keeper = new Keeper({ owner, mappings, plans: this.#plans, poison }, logger);
  }

  /** A transaction has begun and waits for its last part. */
  get isOpen(): boolean {
    return this.#transaction !== undefined;
  }

  /** Some keys of its partitions are held. */
  get holds(): boolean {
    return this.#keeper.blocked.held > 0;
  }

  /** As it believes, or believed while it had a connection. */
  get held(): ReadonlyMap<PartitionId, Held> {
    return this.#lost ?? this.#held;
  }

  /** These partitions are ours from now on, and stand so. */
  async take(session: Session, held: ReadonlyMap<PartitionId, Held>): Promise<void> {
    for (const [partition, hold] of held) this.#held.set(partition, hold);
    this.#keeper.blocked.forget();
    await this.#keeper.blocked.know(session, this.#held.keys());
  }

  drop(partitions: readonly PartitionId[]): void {
    for (const partition of partitions) this.#held.delete(partition);
  }

  /** After this, only what was committed counts. */
  async abandon(session: Session): Promise<void> {
    if (this.#transaction) await rollBack(session);
    this.#transaction = undefined;
    this.#keeper.blocked.forget();
    if (!session.lost) return;
    this.#lost ??= new Map(this.#held);
    this.#held.clear();
  }

  /** The connection is going; the server rolls back by itself. */
  forget(): void {
    this.#transaction = undefined;
  }

  /** Folds and spells the rows of a batch to come, where its tables are known already. */
  prepare(entries: readonly Entry[]): void {
    if (!this.#plans.know(entries)) return;
    try {
      this.#prepared.set(entries, this.#spelled(entries));
    } catch {
      // It will be refused in its turn, behind what comes before it.
    }
  }

  #spelled(entries: readonly Entry[]): Spelled {
    const { alterations, mayStage } = this.#plans;
    return alterations.apart(() => foldedRows(entries, (entry) => this.#plans.of(entry), mayStage));
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

  /** See the port. */
  async writeTogether(session: Session, batches: readonly SinkBatch[]): Promise<'committed' | 'apart'> {
    if (this.#transaction) return 'apart';
    try {
      await this.#keeper.blocked.know(session, this.#held.keys());
      this.#plans.alterations.take();
      const spell = async ({ partition }: SinkBatch, entries: readonly Entry[]) => {
        await this.#plans.prepare(session, entries);
        if (this.#keeper.part(partition, entries).behind.length > 0) return undefined;
        return this.#prepared.get(entries) ?? this.#spelled(entries);
      };
      const altered = await writeTogether({ session, owner: this.#owner, held: this.#held, spell }, batches);
      if (altered === undefined) return 'apart';
      for (const [index, { partition, progress }] of batches.entries()) {
        const held = this.#held.get(partition);
        if (held) this.#held.set(partition, { ...held, nextOffset: progress.nextOffset });
        this.#plans.alterations.add(altered[index]);
        this.#tellAlterations(partition);
      }
    } catch (error) {
      await this.abandon(session);
      throw error instanceof StepsFailed ? postgresError(error.cause, { doing: 'writing several partitions' }) : error;
    }
    faultPoint('sink:after-commit');
    return 'committed';
  }

  /** Tries what is held; nothing while a transaction is open. Answers how many keys are free again. */
  async tend(session: Session, ends: Offsets | undefined): Promise<number> {
    if (this.#transaction) return 0;
    try {
      return await this.#keeper.tend(session, this.#held, ends);
    } catch (error) {
      await rollBack(session);
      await this.abandon(session);
      throw error;
    }
  }

  async #write(session: Session, batch: SinkBatch): Promise<'committed' | 'open'> {
    const { partition, progress, entries } = batch;
    const held = (this.#transaction?.held ?? this.#held).get(partition);
    if (!held) throw fenced(partition);
    await this.#plans.prepare(session, entries);
    await this.#keeper.blocked.know(session, this.#held.keys());
    this.#plans.alterations.take();
    const isJoining = this.#transaction !== undefined;
    const transaction: OpenTransaction = (this.#transaction ??= { held: new Map(this.#held), open: new Set(), holds: false });
    if (batch.open) transaction.open.add(partition);
    else transaction.open.delete(partition);
    const staysOpen = transaction.open.size > 0;
    // A transaction that begins open needs a savepoint too, to fall back without losing what comes next.
    const before = isJoining ? [savepoint] : staysOpen ? [begin, immediate, savepoint] : [begin];
    const move = moveStep(this.#owner, partition, held, progress);
    const where = placeIn(batch, held.nextOffset ?? 0);
    const frame: Frame = { batch, where, before, move, after: staysOpen ? [release] : transaction.holds ? [] : [commit] };
    if (!staysOpen && !transaction.holds) faultPoint('sink:before-commit');
    try {
      await this.#writeFast(session, frame, isJoining);
    } catch (error) {
      if (!(error instanceof RowRefused)) throw error;
      this.#plans.alterations.take();
      // What makes a change right may come in a later part of the same transaction, or was held in an earlier one.
      const mayYetPass = staysOpen || transaction.holds;
      const start = !isJoining
        ? [rollback, ...(staysOpen ? [begin, immediate, savepoint] : [begin, immediate])]
        : error.wasSent
          ? [toSavepoint]
          : [savepoint];
      const isHeld = await this.#writeCarefully(session, { ...frame, before: start, after: staysOpen ? [release] : [] }, mayYetPass);
      if (isHeld && mayYetPass) transaction.holds = true;
      if (!staysOpen && !transaction.holds) await finish(session, partition);
    }
    if (!staysOpen && transaction.holds) {
      await this.#keeper.close(session, [...transaction.held.keys()]);
      await finish(session, partition);
    }
    this.#tellAlterations(partition);
    return this.#written(transaction, batch, held, staysOpen);
  }

  #written(transaction: OpenTransaction, { partition, progress }: SinkBatch, held: Held, staysOpen: boolean): 'committed' | 'open' {
    transaction.held.set(partition, { ownerEpoch: held.ownerEpoch, nextOffset: progress.nextOffset });
    if (staysOpen) return 'open';
    for (const [one, hold] of transaction.held) this.#held.set(one, hold);
    this.#transaction = undefined;
    faultPoint('sink:after-commit');
    return 'committed';
  }

  /** As sets, folded. Throws RowRefused where a row of it is the reason that nothing could be written. */
  async #writeFast(session: Session, frame: Frame, isJoining: boolean): Promise<void> {
    const { partition, entries } = frame.batch;
    const { free, behind } = this.#keeper.part(partition, entries);
    const { answer, altered } = behind.length > 0 ? this.#spelled(free) : (this.#prepared.get(entries) ?? this.#spelled(entries));
    const rows = isJoining ? answer : answer.filter(({ clearsStage }) => clearsStage !== true);
    if (behind.length > 0) {
      // What waits behind a blocked key goes into its queue in the same transaction.
      await this.#send(session, { ...frame, after: [] }, rows);
      await this.#keeper.putBehind(session, partition, behind);
      await endBatch(session, partition, frame.after);
    } else await this.#send(session, frame, rows);
    this.#plans.alterations.add(altered);
  }

  /** The same batch again, one change at a time in the source's order, up to the commit. Answers whether anything is held. */
  async #writeCarefully(session: Session, frame: Frame, mayYetPass: boolean): Promise<boolean> {
    const { partition, entries } = frame.batch;
    this.#logger.debug({ partition, entries: entries.length }, 'batch violates a constraint as a set, applying its changes one by one');
    await this.#send(session, { ...frame, after: [] }, []);
    const tools = { session, planOf: (entry: Entry) => this.#plans.of(entry), where: frame.where };
    const isHeld = await this.#keeper.applyCarefully(tools, partition, entries, mayYetPass);
    await endBatch(session, partition, frame.after);
    return isHeld;
  }

  /** A TRUNCATE, which comes in a batch of its own: see barrier.ts. */
  async #arrive(session: Session, batch: SinkBatch, all: readonly PartitionId[]): Promise<'committed' | 'waiting'> {
    const { partition, entries } = batch;
    const held = (this.#transaction?.held ?? this.#held).get(partition);
    if (!held) throw fenced(partition);
    await this.#plans.prepare(session, entries);
    const work = async () => {
      const discards = entries.map((entry) => {
        const plan = this.#plans.of(entry);
        return { title: plan.title, ...discardOlderStep(this.#owner, quotedTarget(plan.name), entry.event.version) };
      });
      return [...(await emptyingSteps(session, entries, this.#plans)), ...discards];
    };
    // What is open here is not durable, and what it holds of this partition comes before the barrier.
    const outcome = this.#transaction
      ? await standsAt(session, { owner: this.#owner, batch, held })
      : await arrive(session, { owner: this.#owner, batch, all, held, work });
    if (outcome === 'elsewhere') {
      this.#held.delete(partition);
      throw fenced(partition);
    }
    if (outcome === 'waiting') return 'waiting';
    // Whoever did the work discarded older changes of the table.
    this.#keeper.blocked.forget();
    const moved = { ownerEpoch: held.ownerEpoch, nextOffset: batch.progress.nextOffset };
    this.#held.set(partition, moved);
    this.#transaction?.held.set(partition, moved);
    return 'committed';
  }

  #tellAlterations(partition: PartitionId): void {
    const altered = this.#plans.alterations.take();
    if (altered) this.#logger.warn({ partition, altered }, 'values that the target cannot hold were altered as the configuration says');
  }

  async #send(session: Session, { batch, where, before, move, after }: Frame, rows: readonly RowStep[]): Promise<void> {
    const steps = [...before, move, ...rows, ...after];
    try {
      const results = await session.run(steps);
      // COMMIT of a transaction that the server has given up answers ROLLBACK, without an error.
      if (after.includes(commit) && results.at(-1)?.tag !== 'COMMIT') throw notCommitted(batch.partition);
    } catch (error) {
      if (!(error instanceof StepsFailed)) throw error;
      const why = whyNot(error, { steps: before.length, rows, where, partition: batch.partition });
      if (why.isFenced) this.#held.delete(batch.partition);
      throw why.error;
    }
  }
}
