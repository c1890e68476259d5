/** The Sink port on Postgres: one connection; rows and progress in one transaction; see progress.ts for the fence. */
import type { TableSchema } from '../../src/core/change.ts';
import type { AppliedByOther, Mapping, Progress, Sink, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import type { Finding, Logger } from '../../src/core/ports.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
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
  type ProgressOwner,
} from './progress.ts';
import { Session, translated } from './session.ts';
import { Writer } from './writer.ts';

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

const claimAttempts = 3;

class PostgresSink implements Sink {
  readonly #settings: PostgresSettings;
  readonly #options: PostgresSinkOptions;
  readonly #owner: ProgressOwner;
  #session: Promise<Session> | undefined;
  #disposed = false;
  /** One thing at a time on the one connection. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #writer: Writer;

  constructor(settings: PostgresSettings, options: PostgresSinkOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#owner = { pipeline: options.pipeline, service: options.service };
    this.#writer = new Writer(this.#owner, options.mappings, options.logger);
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
      const other = this.#writer.isOpen ? await this.#openSession() : undefined;
      try {
        const session = other ?? (await this.#connected());
        return (await progressTableExists(session)) ? await readProgress(session, this.#owner) : new Map<PartitionId, Progress>();
      } finally {
        await other?.[Symbol.asyncDispose]();
      }
    });
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
      if (partitions.length === 0) return new Map<PartitionId, Progress>();
      const { held, progress } = readClaim((await this.#claim(session, arrayLiteral(partitions)))[2]);
      this.#writer.take(held);
      return progress;
    });
  }

  write(batch: SinkBatch): Promise<WriteOutcome> {
    return this.#inTurn(async () => this.#writer.write(await this.#connected(), batch));
  }

  reset(partitions: readonly PartitionId[]): Promise<void> {
    return this.#inTurn(async () => {
      const session = await this.#connected();
      await this.#writer.abandon(session);
      this.#writer.drop(partitions);
      if (!(await progressTableExists(session))) return;
      const { text, values } = resetStep(this.#owner, arrayLiteral(partitions));
      await session.query('forgetting the progress', text, values);
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
