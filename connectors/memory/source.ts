/** The Source over a {@link MemoryServer}: for tests; it keeps every promise of the port that a binlog can break. */
import { keyText } from '../../src/core/canonical.ts';
import type { Position, Row, TableId, TableSchema } from '../../src/core/change.ts';
import { tableName } from '../../src/core/change.ts';
import { asCrossfadeError, CrossfadeError, type ErrorCode } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { RowChange, Source, SourceBatch, Transaction } from '../../src/core/source-port.ts';
import { rowJson } from '../../src/core/row-json.ts';
import { versionPrefix } from '../../src/core/version.ts';
import type { MemoryServer, StoredRow, StoredTransaction } from './server.ts';

export interface MemorySourceOptions {
  readonly tables: readonly TableId[];
  /** A transaction above this is handed over in parts. */
  readonly batchBytes?: number;
  /** How many transactions the next batch holds at most. */
  readonly batchTransactions?: () => number;
  readonly heartbeatMs?: number;
  /** Resolves after `ms`; rejects with the signal's reason. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

interface MemoryPosition {
  readonly uuid: string;
  /** The number of transactions executed. */
  readonly executed: number;
  readonly fingerprint: string;
}

export function openMemorySource(server: MemoryServer, options: MemorySourceOptions): Source {
  return new MemorySource(server, options);
}

class MemorySource implements Source {
  readonly #server: MemoryServer;
  readonly #options: Required<MemorySourceOptions>;
  readonly #mapped: ReadonlySet<string>;

  constructor(server: MemoryServer, options: MemorySourceOptions) {
    this.#server = server;
    this.#options = { batchBytes: 64 * 1024, batchTransactions: () => 64, heartbeatMs: 1000, sleep: sleepMs, ...options };
    this.#mapped = new Set(options.tables.map(tableName));
  }

  async check(resume?: Position): Promise<readonly Finding[]> {
    const missing = this.#options.tables.filter((table) => !this.#server.schema(table));
    const findings = missing.map((table): Finding => {
      const message = `there is no table ${tableName(table)}`;
      return { level: 'error', code: 'SOURCE_TABLE_MISSING', where: 'source', message };
    });
    return resume === undefined ? findings : [...findings, ...this.#historyFindings(resume)];
  }

  #historyFindings(resume: Position): Finding[] {
    try {
      this.#prove(resume);
      return [];
    } catch (error) {
      const { code, message } = asCrossfadeError(error);
      return [{ level: 'error', code, where: 'source', message }];
    }
  }
  async schemas(tables: readonly TableId[]): Promise<readonly TableSchema[]> {
    return tables.flatMap((table) => this.#server.schema(table) ?? []);
  }
  async start(): Promise<Position> {
    return this.#positionAfter(this.#server.transactions.length);
  }
  async end(): Promise<Position> {
    return this.#positionAfter(this.#server.transactions.length);
  }
  describe(position: Position): string {
    const { uuid, executed } = parsePosition(position);
    return executed === 0 ? 'the beginning' : `${uuid}:1-${executed}`;
  }

  async *read(from: Position, signal: AbortSignal): AsyncGenerator<SourceBatch, void, undefined> {
    const server = this.#server;
    const connection = server.connections;
    const endAtStart = server.transactions.length;
    let next = this.#prove(from);
    let nextRow = 0;
    // All parts of a transaction name one and the same object, whatever batch they come in.
    let open: Transaction | undefined;
    for (;;) {
      signal.throwIfAborted();
      if (server.connections !== connection) throw failure('SOURCE_UNREACHABLE', 'the connection was cut', 'retry');
      if (next < server.purgedTransactions) throw purged();
      if (next >= server.transactions.length) {
        if (await this.#idle(signal, connection)) continue;
        yield { changes: [], bytes: 0, open: false, position: this.#positionAfter(next), throughUs: server.nowUs(), caughtUp: true };
        continue;
      }
      const { batch, after, afterRow } = this.#batch(next, nextRow, open);
      next = after;
      nextRow = afterRow;
      if (!batch.open) open = undefined;
      else open = batch.changes.at(-1)?.transaction ?? open;
      yield { ...batch, caughtUp: !batch.open && after >= endAtStart };
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** Waits for a commit (true) or the heartbeat (false). */
  async #idle(signal: AbortSignal, connection: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const stop = new AbortController();
    const remove = this.#server.onChange(() => resolve(true));
    if (this.#server.connections !== connection) resolve(true);
    const beat = this.#options.sleep(this.#options.heartbeatMs, AbortSignal.any([signal, stop.signal]));
    try {
      return await Promise.race([promise, beat.then(() => false)]);
    } finally {
      remove();
      stop.abort(idleOver);
      // The heartbeat's own end is of no interest once the wait is over.
      beat.catch(() => undefined);
    }
  }

  #batch(
    first: number,
    firstRow: number,
    open: Transaction | undefined,
  ): { batch: Omit<SourceBatch, 'caughtUp'>; after: number; afterRow: number } {
    const { transactions } = this.#server;
    const { batchBytes } = this.#options;
    const changes: RowChange[] = [];
    let bytes = 0;
    const last = Math.min(transactions.length, first + Math.max(1, this.#options.batchTransactions()));
    for (let index = first; index < last; index += 1) {
      const stored = transactions[index] as StoredTransaction;
      const transaction = (index === first ? open : undefined) ?? transactionOf(stored);
      let own = 0;
      for (let ordinal = index === first ? firstRow : 0; ordinal < stored.rows.length; ordinal += 1) {
        const row = stored.rows[ordinal] as StoredRow;
        if (own > 0 && own >= batchBytes) {
          const batch = { changes, bytes, open: true, position: this.#positionAfter(index), throughUs: stored.committedAtUs };
          return { batch, after: index, afterRow: ordinal };
        }
        if (!this.#mapped.has(tableName(row.schema.table))) continue;
        const change = changeOf(transaction, row, ordinal);
        changes.push(change);
        own += imageBytes(change);
        bytes += imageBytes(change);
      }
      if (bytes >= batchBytes) return this.#whole(changes, bytes, index + 1);
    }
    return this.#whole(changes, bytes, last);
  }

  #whole(
    changes: readonly RowChange[],
    bytes: number,
    after: number,
  ): { batch: Omit<SourceBatch, 'caughtUp'>; after: number; afterRow: number } {
    const throughUs = this.#server.transactions[after - 1]?.committedAtUs ?? 0;
    return { batch: { changes, bytes, open: false, position: this.#positionAfter(after), throughUs }, after, afterRow: 0 };
  }

  #positionAfter(executed: number): Position {
    const fingerprint = this.#server.transactions[executed - 1]?.fingerprint ?? '';
    const position: MemoryPosition = { uuid: this.#server.uuid, executed, fingerprint };
    return JSON.stringify(position);
  }

  /** Is it still the same history? The index of the next transaction, or the error that says what became of it. */
  #prove(from: Position): number {
    const { uuid, executed, fingerprint } = parsePosition(from);
    const server = this.#server;
    if (uuid !== server.uuid) throw failure('SOURCE_SERVER_CHANGED', `the server is ${server.uuid}, the position is of ${uuid}`, 'fatal');
    if (executed < server.purgedTransactions) throw purged();
    if (executed > server.transactions.length) throw diverged(`it has ${server.transactions.length} transactions, the log ${executed}`);
    const last = server.transactions[executed - 1]?.fingerprint ?? '';
    if (last !== fingerprint) throw diverged(`transaction ${executed} is another one than the log holds`);
    return executed;
  }
}

/** Made once: an abort without a reason makes an error with its stack each time. */
const idleOver = new Error('the wait is over');

function transactionOf(stored: StoredTransaction): Transaction {
  return {
    id: stored.gtid,
    gtid: stored.gtid,
    file: `binlog.${String(stored.file).padStart(6, '0')}`,
    serverId: 1,
    committedAtUs: stored.committedAtUs,
    versionPrefix: versionPrefix({ epoch: 1, file: stored.file, offset: stored.offset }),
  };
}

function changeOf(transaction: Transaction, { schema, op, before, after, pos, row }: StoredRow, ordinal: number): RowChange {
  const columns = schema.columns.map(({ name }) => name);
  const image = (of: Row | null) => of && Buffer.from(rowJson(columns, of));
  const keyOf = (of: Row | null) => Buffer.from(of === null ? '' : rowJson(schema.key, of));
  const moved = op === 'u' && before && after && keyText(schema.key, before) !== keyText(schema.key, after);
  const key = keyOf(after ?? before);
  const oldKey = moved ? keyOf(before) : null;
  return { transaction, schema, op, ordinal, pos, row, before: image(before), after: image(after), key, oldKey };
}

const imageBytes = (change: RowChange) => (change.before?.length ?? 0) + (change.after?.length ?? 0);

function parsePosition(position: Position): MemoryPosition {
  try {
    const { uuid, executed, fingerprint } = JSON.parse(position) as Partial<MemoryPosition>;
    if (typeof uuid === 'string' && Number.isSafeInteger(executed) && typeof fingerprint === 'string') {
      return { uuid, executed: executed as number, fingerprint };
    }
  } catch {
    // Falls through to the one answer for everything that is not a position of ours.
  }
  throw failure('SOURCE_POSITION_INVALID', 'this is not a position of the memory source', 'fatal');
}

const purged = () => failure('SOURCE_POSITION_PURGED', 'the binlog behind the position is gone', 'fatal');
const diverged = (how: string) => failure('SOURCE_HISTORY_DIVERGED', `the server has another history than the log: ${how}`, 'fatal');

function failure(code: ErrorCode, message: string, fault: 'retry' | 'fatal'): CrossfadeError {
  return new CrossfadeError({ code, fault, message, remedy: 'This is the memory source of the tests.' });
}

function sleepMs(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const end = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end);
      resolve();
    }, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** How many transactions lie before a position; for the tests' own books. */
export const executedOf = (position: Position): number => parsePosition(position).executed;
