/** A steady load on MySQL: one short transaction after the other, at the rate that was asked for, on as many connections as that takes. */
import { setTimeout as sleep } from 'node:timers/promises';

import { createConnection, type Connection } from 'mysql2';

import { benchDatabase } from './load.ts';

export const rowsPerStatement = 5;
/**
 * A connection waits for a sync to disk at each commit. With one for every 100 rows a second the rate is kept while that takes
 * 50 ms, and those that commit at the same time share a sync, as they do on a busy server.
 */
const rowsPerSecondAndConnection = 100;

/** Of one statement. */
export interface Lag {
  readonly sentMs: number;
  /** From MySQL's answer to its being visible; 0 where it was seen before the answer. */
  readonly lagMs: number;
  /** From sending it to its being visible. */
  readonly sentLagMs: number;
  /** From sending it to MySQL's answer. */
  readonly commitMs: number;
}

interface Sent {
  readonly sentMs: number;
  answeredMs?: number;
  visibleMs?: number;
}

export class RowLoad implements AsyncDisposable {
  readonly #sql: string;
  readonly #rowsPerSecond: number;
  readonly #connections: readonly Connection[];
  readonly #idle: Connection[];
  #isStopped = false;
  #failure: Error | undefined;
  #sent = 0;
  /** Those that are not visible yet, by their last id; oldest first. */
  readonly #unseen = new Map<number, Sent>();
  readonly seen: Lag[] = [];

  private constructor(connections: readonly Connection[], table: string, rowsPerSecond: number) {
    const row = "(?,1,'SKU-1','latency probe','new',1.00,1,NOW(3),NOW(),NULL)";
    this.#sql = `INSERT INTO ${table} VALUES ${Array.from({ length: rowsPerStatement }, () => row).join(',')}`;
    this.#rowsPerSecond = rowsPerSecond;
    this.#connections = connections;
    this.#idle = [...connections];
  }

  static async open(uri: string, table: string, rowsPerSecond: number): Promise<RowLoad> {
    const connections: Connection[] = [];
    for (let count = Math.ceil(rowsPerSecond / rowsPerSecondAndConnection); count > 0; count -= 1)
      connections.push(createConnection({ uri, database: benchDatabase, timezone: 'Z' }));
    await Promise.all(connections.map((connection) => connected(connection)));
    return new RowLoad(connections, table, rowsPerSecond);
  }

  /** Sent and not visible. */
  get unseen(): number {
    return this.#unseen.size;
  }

  /** The last id of the oldest statement that is not visible; the next one's where all are. */
  get firstUnseen(): number {
    const first = this.#unseen.keys().next();
    return first.done === true ? (this.#sent + 1) * rowsPerStatement : first.value;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Until it is stopped, and all that was sent is committed. Throws what MySQL refuses. */
  async run(signal: AbortSignal): Promise<void> {
    const startedMs = performance.now();
    while (!this.#isStopped && !signal.aborted && this.#failure === undefined) {
      const dueByNow = ((performance.now() - startedMs) * this.#rowsPerSecond) / 1000 / rowsPerStatement;
      while (this.#sent < dueByNow && this.#idle.length > 0) this.#send();
      await sleep(1);
    }
    while (this.#idle.length < this.#connections.length && this.#failure === undefined && !signal.aborted) await sleep(1);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #send(): void {
    const connection = this.#idle.pop();
    if (connection === undefined) return;
    const firstId = this.#sent * rowsPerStatement + 1;
    this.#sent += 1;
    const ids = Array.from({ length: rowsPerStatement }, (_, index) => firstId + index);
    const one: Sent = { sentMs: performance.now() };
    this.#unseen.set(firstId + rowsPerStatement - 1, one);
    connection.execute(this.#sql, ids, (error) => {
      if (error) {
        this.#failure ??= error;
        return;
      }
      one.answeredMs = performance.now();
      this.#idle.push(connection);
      this.#told(one);
    });
  }

  visible(lastId: number, nowMs: number): void {
    const one = this.#unseen.get(lastId);
    // What came out of turn is there at every look until the oldest is.
    if (one === undefined) return;
    this.#unseen.delete(lastId);
    one.visibleMs = nowMs;
    this.#told(one);
  }

  /** A row may be visible in the target before MySQL has answered: then both are waited for. */
  #told({ sentMs, answeredMs, visibleMs }: Sent): void {
    if (answeredMs === undefined || visibleMs === undefined) return;
    const lagMs = Math.max(0, visibleMs - answeredMs);
    this.seen.push({ sentMs, lagMs, sentLagMs: visibleMs - sentMs, commitMs: answeredMs - sentMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
  }
}

function connected(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
}
