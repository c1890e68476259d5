/** The Sink port on Postgres: one connection; rows and progress in one transaction; see progress.ts for the fence. */
import type { TableSchema } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Finding, Logger } from '../../src/core/ports.ts';
import type { Entry, Mapping, Progress, Sink, SinkBatch } from '../../src/core/sink-port.ts';
import { foldedSteps, singleSteps, type RowStep } from './batch.ts';
import { checkTarget } from './check.ts';
import type { PostgresSettings } from './config.ts';
import { isConnectionLost, postgresError, sqlState } from './errors.ts';
import { StepsFailed, type Step } from './pipeline.ts';
import { Plans } from './plans.ts';
import {
  claimSteps,
  endSilentOwners,
  ensureProgressTable,
  moveStep,
  progressTableExists,
  readClaim,
  readProgress,
  resetStep,
  rollBack,
  type Held,
  type ProgressOwner,
} from './progress.ts';
import { withPlace } from './refused-place.ts';
import { Session, translated } from './session.ts';
import { arrayLiteral } from './values.ts';

export interface PostgresSinkOptions {
  readonly pipeline: string;
  readonly service: string;
  readonly mappings: readonly Mapping[];
  readonly logger: Logger;
}

/** Connects at the first use, so that check() can report a server that cannot be reached. */
export async function openPostgresSink(settings: PostgresSettings, options: PostgresSinkOptions): Promise<Sink> {
  return new PostgresSink(settings, options);
}

/** A transaction that has begun and waits: what each of its partitions has reached inside it. */
interface OpenTransaction {
  readonly held: Map<PartitionId, Held>;
  readonly open: Set<PartitionId>;
}

const savepoint: Step = { name: 'crossfade_savepoint', text: 'SAVEPOINT crossfade' };
const release: Step = { name: 'crossfade_release', text: 'RELEASE SAVEPOINT crossfade' };
const begin: Step = { name: 'crossfade_begin', text: 'BEGIN' };
const commit: Step = { name: 'crossfade_commit', text: 'COMMIT' };
/** Until the transaction ends, and only for what the target made DEFERRABLE; harmless for everything else. */
const defer: Step = { name: 'crossfade_defer', text: 'SET CONSTRAINTS ALL DEFERRED' };
const claimAttempts = 3;

class PostgresSink implements Sink {
  readonly #settings: PostgresSettings;
  readonly #options: PostgresSinkOptions;
  readonly #owner: ProgressOwner;
  #session: Promise<Session> | undefined;
  #disposed = false;
  /** One thing at a time on the one connection. */
  #turn: Promise<unknown> = Promise.resolve();
  /** As committed. */
  readonly #held = new Map<PartitionId, Held>();
  #transaction: OpenTransaction | undefined;
  readonly #plans: Plans;

  constructor(settings: PostgresSettings, options: PostgresSinkOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#owner = { pipeline: options.pipeline, service: options.service };
    this.#plans = new Plans(options.mappings);
  }

  check(schemas: readonly (TableSchema | undefined)[]): Promise<readonly Finding[]> {
    const { service, mappings } = this.#options;
    return checkTarget(() => this.#openSession(), {
      service,
      mappings,
      schemas,
      user: this.#settings.user,
      database: this.#settings.database,
    });
  }

  progress(): Promise<ReadonlyMap<PartitionId, Progress>> {
    // On a connection of its own: inside an open transaction ours would see what is not committed yet.
    return this.#inTurn(async () => {
      const other = this.#transaction ? await this.#openSession() : undefined;
      try {
        const session = other ?? (await this.#connected());
        return (await progressTableExists(session)) ? await readProgress(session, this.#owner) : new Map<PartitionId, Progress>();
      } finally {
        await other?.[Symbol.asyncDispose]();
      }
    });
  }

  claim(partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, Progress>> {
    return this.#inTurn(async () => {
      const session = await this.#connected();
      await this.#abandon(session);
      await ensureProgressTable(session);
      if (partitions.length === 0) return new Map<PartitionId, Progress>();
      const { held, progress } = readClaim((await this.#claim(session, arrayLiteral(partitions)))[2]);
      for (const [partition, hold] of held) this.#held.set(partition, hold);
      return progress;
    });
  }

  write(batch: SinkBatch): Promise<'committed' | 'open'> {
    return this.#inTurn(async () => {
      const session = await this.#connected();
      try {
        return await this.#write(session, batch);
      } catch (error) {
        const fromOffset = (this.#transaction?.held ?? this.#held).get(batch.partition)?.nextOffset ?? 0;
        await this.#abandon(session);
        throw withPlace(error, batch, fromOffset, (entry) => this.#plans.of(entry));
      }
    });
  }

  reset(partitions: readonly PartitionId[]): Promise<void> {
    return this.#inTurn(async () => {
      const session = await this.#connected();
      await this.#abandon(session);
      for (const partition of partitions) this.#held.delete(partition);
      if (!(await progressTableExists(session))) return;
      const { text, values } = resetStep(this.#owner, arrayLiteral(partitions));
      await session.query('forgetting the progress', text, values);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#transaction = undefined;
    // A connection that never came to be needs no goodbye.
    const session = await this.#session?.catch(() => undefined);
    await session?.[Symbol.asyncDispose]();
  }

  // ---------------------------------------------------------------- connection

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    // The failure belongs to its caller; whoever comes next only waits for the end.
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #openSession(): Promise<Session> {
    return Session.open(this.#settings, `crossfade ${this.#options.pipeline}/${this.#options.service}`.slice(0, 63));
  }

  async #connected(): Promise<Session> {
    if (this.#disposed) throw postgresError(new Error('the connection was closed'), { doing: 'using the target' });
    this.#session ??= this.#openSession();
    const session = await this.#session;
    if (session.lost) throw postgresError(new Error('the connection ended'), { doing: 'using the target' });
    return session;
  }

  /** After this, only what was committed counts. */
  async #abandon(session: Session): Promise<void> {
    if (this.#transaction) await rollBack(session);
    this.#transaction = undefined;
    if (session.lost) this.#held.clear();
  }

  async #claim(session: Session, partitions: string) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await session.run(claimSteps(this.#owner, partitions));
      } catch (error) {
        await rollBack(session);
        const blocked = error instanceof StepsFailed && sqlState(error.cause) === '55P03';
        if (!blocked || attempt === claimAttempts) throw translated(error, 'claiming partitions');
        const ended = await endSilentOwners(session, this.#owner, partitions);
        if (ended > 0) this.#options.logger.warn({ backends: ended }, 'ended a silent owner of the partitions');
      }
    }
  }

  // ---------------------------------------------------------------- writing

  async #write(session: Session, batch: SinkBatch): Promise<'committed' | 'open'> {
    const { partition, progress, entries } = batch;
    const held = (this.#transaction?.held ?? this.#held).get(partition);
    if (!held) throw fenced(partition);
    await this.#plans.prepare(session, entries);
    this.#plans.alterations.take();
    const planOf = (entry: Entry) => this.#plans.of(entry);
    const joining = this.#transaction !== undefined;
    const transaction: OpenTransaction = (this.#transaction ??= { held: new Map(this.#held), open: new Set() });
    if (batch.open) transaction.open.add(partition);
    else transaction.open.delete(partition);
    const staysOpen = transaction.open.size > 0;
    const move = moveStep(this.#owner, partition, held, progress);
    const frame = { batch, before: joining ? [savepoint] : [begin], move, after: staysOpen ? (joining ? [release] : []) : [commit] };
    // A transaction that begins open needs a savepoint too, to fall back without losing what comes next.
    if (!joining && staysOpen) Object.assign(frame, { before: [begin, savepoint], after: [release] });
    const rows = foldedSteps(entries, planOf, { mayStage: this.#plans.mayStage, clearStage: joining });
    if (!staysOpen) faultPoint('sink:before-commit');
    try {
      await this.#send(session, { ...frame, rows });
    } catch (error) {
      // Also for a single change: what makes it right may come in a later part of the same transaction.
      if (!(error instanceof ConstraintViolated)) throw error;
      await this.#fallBack(session, frame, singleSteps(entries, planOf), frame.before.includes(savepoint));
    }
    const altered = this.#plans.alterations.take();
    if (altered)
      this.#options.logger.warn({ partition, altered }, 'values that the target cannot hold were altered as the configuration says');
    transaction.held.set(partition, { ownerEpoch: held.ownerEpoch, nextOffset: progress.nextOffset });
    if (staysOpen) return 'open';
    for (const [name, hold] of transaction.held) this.#held.set(name, hold);
    this.#transaction = undefined;
    faultPoint('sink:after-commit');
    return 'committed';
  }

  /** The sets collided: the same batch again, one change at a time in the source's order, its constraints judged at the end. */
  async #fallBack(session: Session, frame: Omit<Frame, 'rows'>, rows: readonly RowStep[], toSavepoint: boolean): Promise<void> {
    const { partition, entries } = frame.batch;
    this.#options.logger.debug(
      { partition, entries: entries.length },
      'batch violates a constraint as a set, applying its changes one by one',
    );
    const before = toSavepoint ? [{ text: 'ROLLBACK TO SAVEPOINT crossfade' }, defer] : [{ text: 'ROLLBACK' }, begin, defer];
    try {
      await this.#send(session, { ...frame, before, rows });
    } catch (error) {
      throw outward(error);
    }
  }

  async #send(session: Session, { batch, before, move, rows, after }: Frame): Promise<void> {
    const steps = [...before, move, ...rows, ...after];
    try {
      const results = await session.run(steps);
      // COMMIT of a transaction that the server has given up answers ROLLBACK, without an error.
      if (after.includes(commit) && results.at(-1)?.tag !== 'COMMIT') throw notCommitted(batch.partition);
    } catch (error) {
      if (!(error instanceof StepsFailed)) throw error;
      const { cause, results } = error;
      const failed = results.length - before.length - 1;
      if (failed === -1 && sqlState(cause) === '22012') {
        this.#held.delete(batch.partition);
        throw fenced(batch.partition);
      }
      const row = rows[failed];
      const where = `partition ${batch.partition} before offset ${batch.progress.nextOffset}`;
      const ours = postgresError(cause, { doing: row && failed >= 0 ? `${row.title}, ${where}` : `writing ${where}` });
      if (row && !isConnectionLost(cause) && setViolations.has(sqlState(cause) ?? '')) throw new ConstraintViolated(ours);
      throw ours;
    }
  }
}

interface Frame {
  readonly batch: SinkBatch;
  readonly before: readonly Step[];
  readonly move: Step;
  readonly rows: readonly RowStep[];
  readonly after: readonly Step[];
}

/** Unique and foreign-key violations, and one row touched twice by one statement. */
const setViolations = new Set(['23505', '23503', '21000']);

/** The same batch may pass change by change. */
class ConstraintViolated extends Error {
  readonly outward: CrossfadeError;

  constructor(outward: CrossfadeError) {
    super('a constraint was violated');
    this.outward = outward;
  }
}
const outward = (error: unknown) => (error instanceof ConstraintViolated ? error.outward : error);
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
