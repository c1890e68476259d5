/** One connection to Postgres with every timeout set; gone once is gone for good: the loop opens a new sink. */
import { Client } from 'pg';
import type { CrossfadeError } from '../../src/core/errors.ts';
import { Unanswered } from '../../src/core/unanswered.ts';
import { tlsOptions } from '../../src/config-tls.ts';
import type { PostgresSettings } from './config.ts';
import { isConnectionLost, postgresError } from './errors.ts';
import { Pipeline, StepsFailed, type Step, type StepResult } from './pipeline.ts';

const connectTimeoutMs = 10_000;
export const statementTimeoutMs = 60_000;
const lockTimeoutMs = 10_000;
const idleInTransactionTimeoutMs = 120_000;
/** Beyond the server's own limit: it only ends the wait for a server that does not answer at all. */
const answerDelayMs = 15_000;
const closeTimeoutMs = 2_000;

/**
 * Whatever a database or a role has set otherwise: first the limits, then all that decides how the server reads what we
 * send. `search_path` and `session_replication_role` stay: triggers and defaults of the target may count on them.
 */
const settings = [
  ['statement_timeout', `${statementTimeoutMs}`],
  ['lock_timeout', `${lockTimeoutMs}`],
  ['idle_in_transaction_session_timeout', `${idleInTransactionTimeoutMs}`],
  ['client_min_messages', 'warning'],
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
  // Off, NULL in an array is a text of four letters.
  ['array_nulls', 'on'],
  ['transform_null_equals', 'off'],
  ['quote_all_identifiers', 'off'],
  // Another list may have a `Z` of its own.
  ['timezone_abbreviations', 'Default'],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'UTC'],
  ['extra_float_digits', '1'],
  ['default_transaction_isolation', 'read committed'],
] as const;

/** The log may delete what we call committed, so a commit of ours is always on the server's disk, whatever its default. */
const durableCommit = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;

export class Session implements AsyncDisposable {
  readonly #client: Client;
  readonly #prepared = new Set<string>();
  readonly #unanswered: Unanswered;
  #lost: unknown;

  private constructor(client: Client, stop: AbortSignal | undefined) {
    this.#client = client;
    this.#unanswered = new Unanswered(stop, () =>
      client.connection.stream.destroy(new Error('timeout: no answer when it was time to stop')),
    );
    client.on('error', (error) => (this.#lost ??= error));
    client.on('end', () => (this.#lost ??= new Error('the connection ended')));
  }

  /** Throws a CrossfadeError. `stop`: whoever works with it is to end; a server that does not answer is not waited for any more. */
  static async open(postgres: PostgresSettings, applicationName: string, stop?: AbortSignal): Promise<Session> {
    const session = new Session(
      new Client({
        host: postgres.host,
        port: postgres.port,
        database: postgres.database,
        user: postgres.user,
        // A function keeps pg from looking for a password file, or for one in the environment.
        password: () => postgres.password ?? '',
        ssl: tlsOptions(postgres.tls) ?? false,
        application_name: applicationName,
        connectionTimeoutMillis: connectTimeoutMs,
        keepAlive: true,
        keepAliveInitialDelayMillis: 10_000,
      }),
      stop,
    );
    try {
      await session.#unanswered.opening(() => session.#client.connect());
      await session.run([...settings.map(([name, value]) => setting(name, value)), { text: durableCommit }]);
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw postgresError(error instanceof StepsFailed ? error.cause : error, { doing: 'connecting to the target' });
    }
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * Runs all steps in one round trip. Throws StepsFailed with the driver's error as its cause; what the error means
   * depends on the step, so translating it is the caller's.
   */
  async run(steps: readonly Step[]): Promise<readonly StepResult[]> {
    if (this.#lost !== undefined) throw new StepsFailed(this.#lost, []);
    const pipeline = new Pipeline(steps, this.#prepared);
    const slowestMs = steps.reduce((ms, { timeoutMs = 0 }) => Math.max(ms, timeoutMs), statementTimeoutMs);
    const deadline = setTimeout(
      () => this.#client.connection.stream.destroy(new Error('timeout: the server does not answer')),
      slowestMs + answerDelayMs,
    );
    try {
      this.#client.query(pipeline);
      return await this.#unanswered.during(() => pipeline.done);
    } catch (error) {
      if (error instanceof StepsFailed && isConnectionLost(error.cause)) this.#lost ??= error.cause;
      throw error;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** One statement; its rows as text. Throws a CrossfadeError that says what it was `doing`. */
  async query(doing: string, text: string, values: NonNullable<Step['values']> = []): Promise<StepResult['rows']> {
    try {
      const results = await this.run([{ text, values }]);
      return results[0]?.rows ?? [];
    } catch (error) {
      throw translated(error, doing);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeTimeoutMs);
    });
    // A connection that is gone already has nothing to say goodbye to.
    if (!this.#client.connection.stream.destroyed) await Promise.race([this.#client.end().catch(() => undefined), deadline]);
    clearTimeout(timer);
    this.#unanswered[Symbol.dispose]();
    this.#client.connection.stream.destroy();
    this.#lost ??= new Error('the connection was closed');
  }
}

function setting(name: string, value: string, local = false): Step {
  return { text: 'SELECT set_config($1, $2, $3::boolean)', values: [name, value, String(local)] };
}

export function translated(error: unknown, doing: string): CrossfadeError {
  return postgresError(error instanceof StepsFailed ? error.cause : error, { doing });
}
