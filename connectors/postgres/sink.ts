/** The Sink port on Postgres: one connection; rows and progress in one transaction; see progress.ts for the fence. */
import type { TableId, TableSchema } from '../../src/core/change.ts';
import type { AppliedByOther, Entry, Mapping, Progress, Sink, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import type { Finding, Logger } from '../../src/core/ports.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { PoisonPolicy, Quarantine } from '../../src/core/quarantine-port.ts';
import { checkTarget } from './check.ts';
import type { PostgresSettings } from './config.ts';
import { postgresError, sqlState } from './errors.ts';
import { arrayLiteral } from './literals.ts';
import { StepsFailed } from './pipeline.ts';
import {
  claimSteps,
  endSilentOwners,
  ensureProgressTable,
  progressTableExists,
  readClaim,
  readOthers,
  readProgress,
  resetStep,
  rollBack,
  takenFrom,
  type Held,
  type ProgressOwner,
} from './progress.ts';
import { PostgresQuarantine } from './quarantine.ts';
import { discardAllStep, ensureQuarantineTable, quarantineTableExists } from './quarantine-table.ts';
import { Session, translated } from './session.ts';
import { begin, commit } from './transaction-steps.ts';
import { Writer } from './writer.ts';
import { takenBehind } from './writer-errors.ts';

export interface PostgresSinkOptions {
  readonly pipeline: string;
  readonly service: string;
  readonly mappings: readonly Mapping[];
  readonly logger: Logger;
  /** What becomes of a change that can never be applied; `halt` where nothing is said. */
  readonly onPoison?: PoisonPolicy;
  /** All partitions that carry the service's tables: with more than one, what one refuses another may still make right. */
  readonly partitions?: readonly PartitionId[];
  /** Through which of them a table of the source comes; all of them where nothing is said. */
  readonly partitionsOf?: (source: TableId) => readonly PartitionId[];
  /** Of the session that works with it: from then on a server that does not answer is given up. */
  readonly stop?: AbortSignal | undefined;
}

/** Connects at the first use, so that check() can report a server that cannot be reached. */
export async function openPostgresSink(settings: PostgresSettings, options: PostgresSinkOptions): Promise<Sink> {
  return new PostgresSink(settings, options);
}

/** Two seconds each: longer than an owner may be silent. */
const claimAttempts = 6;
/** How long the next session may take to say whether another owner ended ours. */
const askTimeoutMs = 3000;

class PostgresSink implements Sink {
  readonly #settings: PostgresSettings;
  readonly #options: PostgresSinkOptions;
  readonly #owner: ProgressOwner;
  #session: Promise<Session> | undefined;
  #disposed = false;
  /** One thing at a time on the one connection. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #writer: Writer;
  readonly quarantine: Quarantine;

  constructor(settings: PostgresSettings, options: PostgresSinkOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#owner = { pipeline: options.pipeline, service: options.service };
    const { onPoison: policy = 'halt', partitions = [] } = options;
    this.#writer = new Writer(this.#owner, options.mappings, options.logger, { policy, mayHold: partitions.length > 1 });
    const alone = <T>(work: (session: Session) => Promise<T>) => this.#beside(work);
    this.quarantine = new PostgresQuarantine(alone, this.#owner, options.mappings);
  }

  check(schemas: readonly (TableSchema | undefined)[]): Promise<readonly Finding[]> {
    const { service, mappings, partitions = [], partitionsOf = () => partitions } = this.#options;
    return checkTarget(() => this.#openSession(), {
      service,
      mappings,
      schemas,
      user: this.#settings.user,
      database: this.#settings.database,
      partitionsOf,
    });
  }

  progress(): Promise<ReadonlyMap<PartitionId, Progress>> {
    return this.#beside(async (session) =>
      (await progressTableExists(session)) ? await readProgress(session, this.#owner) : new Map<PartitionId, Progress>(),
    );
  }

  appliedByOthers(): Promise<readonly AppliedByOther[]> {
    return this.#inTurn(async () => {
      const session = await this.#connected();
      return (await progressTableExists(session)) ? readOthers(session, this.#owner) : [];
    });
  }

  claim(partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, Progress>> {
    return this.#inTurn(async () => {
      const session = await this.#connected();
      await this.#writer.abandon(session);
      await ensureProgressTable(session);
      await ensureQuarantineTable(session);
      if (partitions.length === 0) return new Map<PartitionId, Progress>();
      const { held, progress } = readClaim((await this.#claim(session, arrayLiteral(partitions)))[2]);
      await this.#writer.take(session, held);
      return progress;
    });
  }

  prepare(entries: readonly Entry[]): void {
    this.#writer.prepare(entries);
  }

  write(batch: SinkBatch): Promise<WriteOutcome> {
    return this.#inTurn(() => this.#orTaken(async () => this.#writer.write(await this.#connected(), batch)));
  }

  writeTogether(batches: readonly SinkBatch[]): Promise<'committed' | 'apart'> {
    return this.#inTurn(() => this.#orTaken(async () => this.#writer.writeTogether(await this.#connected(), batches)));
  }

  get holds(): boolean {
    return this.#writer.holds;
  }

  tend(ends: Offsets | undefined): Promise<number> {
    const { partitions = [] } = this.#options;
    // The log may be asked about other services' partitions, which no progress of this one ever passes.
    const own = ends && new Map([...ends].filter(([partition]) => partitions.includes(partition)));
    return this.#inTurn(() => this.#orTaken(async () => this.#writer.tend(await this.#connected(), own)));
  }

  reset(partitions: readonly PartitionId[]): Promise<void> {
    return this.#inTurn(async () => {
      const session = await this.#connected();
      await this.#writer.abandon(session);
      this.#writer.drop(partitions);
      if (!(await progressTableExists(session))) return;
      const queues = (await quarantineTableExists(session)) ? [discardAllStep(this.#owner, partitions)] : [];
      try {
        await session.run([begin, resetStep(this.#owner, arrayLiteral(partitions)), ...queues, commit]);
      } catch (error) {
        await rollBack(session);
        throw translated(error, 'forgetting the progress');
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#writer.forget();
    // A connection that never came to be needs no goodbye.
    const session = await this.#session?.catch(() => undefined);
    await session?.[Symbol.asyncDispose]();
  }

  // ---------------------------------------------------------------- connection

  /** On a connection of its own while a transaction is open: inside it ours would see what is not committed yet, or break it. */
  #beside<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const other = this.#writer.isOpen ? await this.#openSession() : undefined;
      try {
        return await work(other ?? (await this.#connected()));
      } finally {
        await other?.[Symbol.asyncDispose]();
      }
    });
  }

  /** Whether a connection was lost because another took what we held is only known on the next one. */
  async #orTaken<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const session = await this.#session?.catch(() => undefined);
      const { held } = this.#writer;
      if (this.#disposed || session?.lost !== true || held.size === 0) throw error;
      const taken = await this.#taken(held);
      throw taken.length === 0 ? error : takenBehind(taken, error);
    }
  }

  async #taken(held: ReadonlyMap<PartitionId, Held>): Promise<readonly PartitionId[]> {
    const opening = this.#openSession();
    const asked = opening.then((session) => takenFrom(session, this.#owner, held));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<PartitionId[]>((resolve) => (timer = setTimeout(resolve, askTimeoutMs, [])));
    try {
      // A server that is away answers nobody: then the lost connection is all that there is to say.
      return await Promise.race([asked.catch(() => []), late]);
    } finally {
      clearTimeout(timer);
      void opening.then(
        (session) => session[Symbol.asyncDispose](),
        () => undefined,
      );
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    // The failure belongs to its caller; whoever comes next only waits for the end.
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #openSession(): Promise<Session> {
    const { pipeline, service, stop } = this.#options;
    return Session.open(this.#settings, `crossfade ${pipeline}/${service}`.slice(0, 63), stop);
  }

  async #connected(): Promise<Session> {
    if (this.#disposed) throw postgresError(new Error('the connection was closed'), { doing: 'using the target' });
    this.#session ??= this.#openSession();
    const session = await this.#session;
    if (session.lost) throw postgresError(new Error('the connection ended'), { doing: 'using the target' });
    return session;
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
}
