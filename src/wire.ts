/**
 * Configuration → live parts. The only importer of connectors/ and transforms/; every open is a fresh connection. A connector is
 * loaded when it is first opened: each thread has code and drivers of its own in memory, and needs two of five connectors.
 */
import { startLineAfter } from '../connectors/mysql/position/way-past.ts';
import { makeTransform } from '../transforms/all.ts';
import { codec } from './codec.ts';
import type { Config, ServiceConfig } from './config.ts';
import type { Target, TargetKind, TargetSettings } from './config-targets.ts';
import { type TableId, tableName } from './core/change.ts';
import { asCrossfadeError, CrossfadeError } from './core/errors.ts';
import type { Log, PartitionId, StreamSpec } from './core/log-port.ts';
import { partitionsOf } from './core/partition.ts';
import type { Logger } from './core/ports.ts';
import type { PoisonPolicy } from './core/quarantine-port.ts';
import type { AppliedByOther, Mapping, Sink } from './core/sink-port.ts';
import type { Source } from './core/source-port.ts';
import { applySession } from './runtime/apply.ts';
import { captureSession } from './runtime/capture.ts';
import { ClaimNews } from './runtime/claim-news.ts';
import type { Part } from './runtime/daemon.ts';
import { type AppliedBefore, refuseOtherPipelines, refuseSecondLog } from './runtime/new-log.ts';
import { type LoopState, runLoop } from './runtime/loop.ts';
import type { ApplyMeters, CaptureMeters, StateMeters } from './runtime/meters.ts';
import { TroubleNote } from './runtime/trouble.ts';

export async function openSource(config: Pick<Config, 'source' | 'tables' | 'keys'>, logger: Logger): Promise<Source> {
  const { openMysqlSource } = await import('../connectors/mysql/source.ts');
  return openMysqlSource(config.source.settings, { tables: config.tables, keys: config.keys, logger });
}

/** For `init`: the tables of one database, or of all but the server's own. */
export async function discoverTables(settings: Config['source']['settings'], database: string | undefined): Promise<readonly TableId[]> {
  const { listTables } = await import('../connectors/mysql/server/metadata.ts');
  const tables = (await listTables(settings)).map(({ table }) => table);
  return database === undefined ? tables : tables.filter((table) => table.database === database);
}

/** With a service's own `streams`, only its share of the log; with all of them, what capture and status see. */
/** `stop`: of the session that works with it; see KafkaLogOptions. */
export async function openLog(config: Config, streams: readonly StreamSpec[], logger: Logger, stop?: AbortSignal): Promise<Log> {
  const options = { pipeline: config.pipeline, streams, codec, logger };
  if (config.log.kind === 'kafka') {
    const { openKafkaLog } = await import('../connectors/kafka/log.ts');
    return openKafkaLog(config.log.settings, { ...options, stop });
  }
  const { openSqliteLog } = await import('../connectors/sqlite/log.ts');
  // A service that has never run yet must hold back retention too.
  const groups = config.services.map((service) => ({ name: service.name, topics: service.streams.map(({ topic }) => topic) }));
  const appendThread = new URL('./log-thread.ts', import.meta.url);
  return openSqliteLog(config.log.settings, { ...options, groups, appendThread });
}

/** `stop`: of the session that works with it, which must not wait for a target that does not answer once it is to end. */
export function openSink(config: Config, service: ServiceConfig, logger: Logger, stop?: AbortSignal): Promise<Sink> {
  const { name, onPoison, streams } = service;
  const partitions = streams.flatMap(partitionsOf);
  return openTarget(service.target, {
    pipeline: config.pipeline,
    service: name,
    mappings: mappingsOf(service),
    logger,
    onPoison,
    partitions,
    partitionsOf: (source) => {
      const stream = config.routing.get(tableName(source));
      return stream === undefined ? [] : partitionsOf(stream);
    },
    stop,
  });
}

interface SinkOptions {
  readonly pipeline: string;
  readonly service: string;
  readonly mappings: readonly Mapping[];
  readonly logger: Logger;
  readonly onPoison: PoisonPolicy;
  readonly partitions: readonly PartitionId[];
  readonly partitionsOf: (source: TableId) => readonly PartitionId[];
  readonly stop: AbortSignal | undefined;
}

/** A kind without its opener does not compile. */
const openers: { readonly [K in TargetKind]: (settings: TargetSettings[K], options: SinkOptions) => Promise<Sink> } = {
  postgres: async (settings, options) => (await import('../connectors/postgres/sink.ts')).openPostgresSink(settings, options),
  redis: async (settings, options) => (await import('../connectors/redis/sink.ts')).openRedisSink(settings, options),
};

function openTarget<K extends TargetKind>({ kind, settings }: Target<K>, options: SinkOptions): Promise<Sink> {
  return openers[kind](settings, options);
}

export function mappingsOf(service: ServiceConfig): Mapping[] {
  return service.mappings.map((mapping) => ({ ...mapping, transforms: mapping.transforms.map((transform) => makeTransform(transform)) }));
}

/**
 * Throws where a target was filled through another log of this pipeline, or by another pipeline. Who names the start has
 * decided, and no target is asked; else each must answer, since guessing would lose rows: one that is away is waited for.
 */
export async function expectFirstLog(config: Config, logger: Logger, stop?: AbortSignal): Promise<void> {
  if (config.source.settings.start !== undefined) return;
  const applied = config.services.map(async (service): Promise<AppliedBefore> => {
    try {
      await using sink = await openSink(config, service, logger, stop);
      const progress = await sink.progress();
      return { service: service.name, progress, others: progress.size > 0 ? [] : await sink.appliedByOthers() };
    } catch (thrown) {
      throw unasked(service.name, asCrossfadeError(thrown));
    }
  });
  const all = await Promise.all(applied);
  refuseSecondLog(all, startLineAfter);
  refuseOtherPipelines(all, startLineAfter);
}

/** What `check` says of one service before a log begins: the refusal that {@link expectFirstLog} would throw. */
export function refuseForeign(service: ServiceConfig, others: readonly AppliedByOther[]): void {
  refuseOtherPipelines([{ service: service.name, progress: new Map(), others }], startLineAfter);
}

function unasked(service: string, { code, fault, message, remedy, cause, scope }: CrossfadeError): CrossfadeError {
  const why = `a new log begins only when every target has said that neither this pipeline nor another filled it, and service ${service} did not`;
  const way = 'A "start" under source.mysql in the configuration begins without asking.';
  return new CrossfadeError({
    code,
    fault,
    message: `${why}: ${message}`,
    remedy: `${remedy} ${way}`,
    cause,
    ...(scope === undefined ? {} : { scope }),
  });
}

export interface PartTools {
  readonly logger: Logger;
  readonly state: StateMeters;
}

export function capturePart(config: Config, meters: CaptureMeters, { logger, state }: PartTools): Part {
  const parts = {
    pipeline: config.pipeline,
    routing: config.routing,
    logger,
    meters,
    openSource: () => openSource(config, logger),
    openLog: (stop?: AbortSignal) => openLog(config, config.streams, logger, stop),
    beforeNewLog: (stop: AbortSignal) => expectFirstLog(config, logger, stop),
  };
  return loopPart('capture', { logger, state, openLog: parts.openLog }, (options) => runLoop((run) => captureSession(parts, run), options));
}

export function applyPart(config: Config, service: ServiceConfig, meters: ApplyMeters, { logger, state }: PartTools): Part {
  const parts = {
    service: service.name,
    mappings: mappingsOf(service),
    mappingHash: service.mappingHash,
    logger,
    meters,
    openLog: (stop?: AbortSignal) => openLog(config, service.streams, logger, stop),
    openSink: (stop?: AbortSignal) => openSink(config, service, logger, stop),
    claims: new ClaimNews(),
  };
  return loopPart(`apply ${service.name}`, { logger, state, openLog: parts.openLog }, (options) =>
    runLoop((run) => applySession(parts, run), options),
  );
}

type LoopOptions = Parameters<typeof runLoop>[1];

interface LoopTools extends PartTools {
  readonly openLog: () => Promise<Log>;
}

function loopPart(name: string, { logger, state, openLog }: LoopTools, run: (options: LoopOptions) => Promise<void>): Part {
  const note = new TroubleNote({ part: name, logger, openLog });
  const onState = (now: LoopState, error?: CrossfadeError) => {
    state.state(name, now, error?.code);
    note.told(now, error);
  };
  return {
    name,
    async run(signal) {
      try {
        await run({ name, signal, logger, onState });
      } finally {
        await note.settled();
      }
    },
  };
}
