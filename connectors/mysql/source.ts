/** The MySQL source: what the port promises, put together from history, binlog and metadata. */
import { randomInt } from 'node:crypto';
import { tableName, type Position, type TableId, type TableSchema } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Finding, Logger } from '../../src/core/ports.ts';
import type { Source, SourceBatch } from '../../src/core/source-port.ts';
import { BinlogStream } from './stream/binlog.ts';
import { checkSource } from './check/check.ts';
import type { MysqlSettings } from './config.ts';
import { Metadata } from './server/metadata.ts';
import { startAtEnd } from './server/open-xa.ts';
import { planNewStart, planRead } from './server/plan-read.ts';
import { columnsNow, describeTables, keysOf, untransactional } from './server/information-schema.ts';
import { describePosition, parsePosition, positionText, type MysqlPosition } from './position/position.ts';
import { endPosition, serverState } from './server/server-state.ts';
import type { ServerState } from './server/state-questions.ts';
import type { ReadPlan } from './position/read-plan.ts';
import type { ReaderOptions } from './stream/reader-options.ts';
import { schemaOf } from './rows/shapes.ts';
import { namedPosition } from './server/start-position.ts';
import { foldsTableNames } from './server/table-names.ts';

export interface MysqlSourceOptions {
  readonly tables: readonly TableId[];
  /** Key columns that the configuration names for tables without a primary key, by `db.table`. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  readonly logger: Logger;
  /** A transaction with more bytes of changes than this comes in parts; 1 MB unless a test says otherwise. */
  readonly partBytes?: number;
}

/** Each part is a few thousand rows on their way through several hands at once: larger ones cost memory and win no time. */
const usualPartBytes = 1024 * 1024;

/** Connects to nothing yet: each method opens its own connections, so an unreachable server is each method's error. */
export async function openMysqlSource(settings: MysqlSettings, options: MysqlSourceOptions): Promise<MysqlSource> {
  return new MysqlSource(settings, options);
}

export class MysqlSource implements Source {
  readonly #settings: MysqlSettings;
  readonly #options: MysqlSourceOptions;
  readonly #streams = new Set<BinlogStream>();

  constructor(settings: MysqlSettings, options: MysqlSourceOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  check(resume?: Position): Promise<readonly Finding[]> {
    return checkSource(this.#settings, this.#options, resume);
  }

  async schemas(tables: readonly TableId[]): Promise<readonly TableSchema[]> {
    await using metadata = await Metadata.open(this.#settings);
    const collations = await metadata.collations();
    const described = await describeTables(metadata, tables);
    const known = {
      mapped: new Set<string>(),
      keys: keysOf(described, this.#options.keys),
      collations,
      maxRowBytes: this.#settings.maxRowBytes,
    };
    return described.flatMap(({ id, columns, primaryKey, defaults }) => {
      const schema = schemaOf(id, columns, primaryKey, known);
      if (!schema) return [];
      return { ...schema, columns: schema.columns.map((each) => (defaults.has(each.name) ? { ...each, hasDefault: true } : each)) };
    });
  }

  async start(signal: AbortSignal = new AbortController().signal): Promise<Position> {
    const { start } = this.#settings;
    await using metadata = await Metadata.open(this.#settings);
    const found = start === undefined ? await this.#startAtEnd(metadata, signal) : await this.#namedStart(metadata, start);
    const position = { ...found, epoch: newEpoch() };
    this.#options.logger.info(
      { position: describePosition(position), by: start === undefined ? 'the end of the binlog now' : 'the configuration' },
      'new pipeline starts',
    );
    return positionText(position);
  }

  async #namedStart(metadata: Metadata, start: NonNullable<MysqlSettings['start']>): Promise<MysqlPosition> {
    return await namedPosition(metadata, start, endPosition(await serverState(metadata)));
  }

  /** Which XA transactions are open there is known once what was prepared last has been read; nothing of it is handed on. */
  async #startAtEnd(metadata: Metadata, signal: AbortSignal): Promise<MysqlPosition> {
    const { at, xaFrom } = await startAtEnd(metadata, this.#options.logger, signal);
    if (at.gtid === xaFrom.gtid && at.file === xaFrom.file && at.pos === xaFrom.pos) return at;
    const state = await serverState(metadata);
    using stream = this.#streamOf(planNewStart(at, xaFrom), await this.#readerOptions(metadata, state));
    const abort = () => stream.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      for (;;) {
        const { caughtUp, open, position, release } = await stream.next();
        release?.();
        if (caughtUp && !open) return parsePosition(position);
      }
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async end(): Promise<Position> {
    await using metadata = await Metadata.open(this.#settings);
    return positionText(endPosition(await serverState(metadata)));
  }

  describe(position: Position): string {
    return describePosition(parsePosition(position));
  }

  /** Bytes of changes that wait for the consumer, over all readings. */
  get bufferedBytes(): number {
    return [...this.#streams].reduce((sum, stream) => sum + stream.bufferedBytes, 0);
  }

  async *read(from: Position, signal: AbortSignal): AsyncGenerator<SourceBatch, void, undefined> {
    const position = parsePosition(from);
    signal.throwIfAborted();
    using stream = await unlessAborted(this.#open(position, signal), signal);
    const abort = () => stream.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#streams.add(stream);
    try {
      for (;;) {
        signal.throwIfAborted();
        yield await stream.next();
      }
    } finally {
      this.#streams.delete(stream);
      signal.removeEventListener('abort', abort);
    }
  }

  async #open(position: MysqlPosition, signal: AbortSignal): Promise<BinlogStream> {
    const { logger } = this.#options;
    await using metadata = await Metadata.open(this.#settings, 'reading the binlog of');
    const { plan, state } = await planRead(metadata, position, logger, signal);
    const reader = await this.#readerOptions(metadata, state);
    signal.throwIfAborted();
    logger.debug({ position: describePosition(position), epoch: plan.epoch }, 'binlog reading starts');
    return this.#streamOf(plan, reader);
  }

  #streamOf(plan: ReadPlan, reader: ReaderOptions): BinlogStream {
    return new BinlogStream(this.#settings, { plan, reader, serverId: this.#settings.serverId ?? randomServerId() });
  }

  async #readerOptions(metadata: Metadata, state: ServerState): Promise<ReaderOptions> {
    const { tables, keys, partBytes = usualPartBytes } = this.#options;
    const described = await describeTables(metadata, tables);
    const known = {
      mapped: new Set(tables.map(tableName)),
      keys: keysOf(described, keys),
      collations: await metadata.collations(),
      maxRowBytes: this.#settings.maxRowBytes,
      columnsNow: columnsNow(described),
    };
    const schemas = described.flatMap(({ id, columns, primaryKey }) => schemaOf(id, columns, primaryKey, known) ?? []);
    return {
      tables: { ...known, described: new Map(schemas.map((schema) => [tableName(schema.table), schema])) },
      untransactional: untransactional(described),
      unkeyed: new Set(described.filter(({ primaryKey }) => primaryKey.length === 0).map(({ id }) => tableName(id))),
      foldsNames: await foldsTableNames(metadata),
      partBytes,
      heartbeatUs: Math.round(this.#settings.heartbeatSeconds * 1e6),
      clockOffsetUs: state.clockOffsetUs,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) {
      stream.abort(
        new CrossfadeError({
          code: 'SOURCE_UNREACHABLE',
          fault: 'retry',
          message: 'the source was closed',
          remedy: 'Nothing needs to be done.',
        }),
      );
    }
  }
}

/** The server may not answer at all: an abort does not wait for it, and what is opened too late is closed again. */
async function unlessAborted<T extends Disposable>(opening: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => {
    aborted.reject(signal.reason);
    // Nobody waits for it any more; its own failure is of no interest either.
    opening.then(
      (late) => late[Symbol.dispose](),
      () => undefined,
    );
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([opening, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * A new log begins above every version that an older log of the same tables left in a target (Redis keeps one beside each
 * row): epochs count the failovers of one log, of which there is never one a second.
 */
const newEpoch = (): number => Math.floor(Date.now() / 1000);

/** Far from the small numbers that people give their servers. */
const randomServerId = (): number => randomInt(2 ** 31, 2 ** 32 - 1);
