/** Configuration → live parts. The only importer of connectors/ and transforms/; every open is a fresh connection. */
import { listTables } from '../connectors/mysql/connect.ts';
import { openMysqlSource } from '../connectors/mysql/source.ts';
import { openPostgresSink } from '../connectors/postgres/sink.ts';
import { openRedisSink } from '../connectors/redis/sink.ts';
import { openSqliteLog } from '../connectors/sqlite/log.ts';
import { makeTransform } from '../transforms/all.ts';
import { codec } from './codec.ts';
import type { Config, ServiceConfig } from './config.ts';
import type { TableId } from './core/change.ts';
import type { CrossfadeError } from './core/errors.ts';
import type { Log, Logger, Mapping, Sink, Source, StreamSpec } from './core/ports.ts';
import { applySession } from './runtime/apply.ts';
import { captureSession } from './runtime/capture.ts';
import type { Part } from './runtime/daemon.ts';
import { type LoopState, runLoop } from './runtime/loop.ts';
import type { ApplyMeters, CaptureMeters, StateMeters } from './runtime/meters.ts';

export function openSource(config: Pick<Config, 'source' | 'tables' | 'keys'>, logger: Logger): Promise<Source> {
  return openMysqlSource(config.source.settings, { tables: config.tables, keys: config.keys, logger });
}

/** For `init`: the tables of one database, or of all but the server's own. */
export async function discoverTables(settings: Config['source']['settings'], database: string | undefined): Promise<readonly TableId[]> {
  const tables = (await listTables(settings)).map(({ table }) => table);
  return database === undefined ? tables : tables.filter((table) => table.database === database);
}

/** With a service's own `streams`, only its share of the log; with all of them, what capture and status see. */
export function openLog(config: Config, streams: readonly StreamSpec[], logger: Logger): Promise<Log> {
  // A service that has never run yet must hold back retention too.
  const groups = config.services.map((service) => ({ name: service.name, topics: service.streams.map(({ topic }) => topic) }));
  return openSqliteLog(config.log.settings, { pipeline: config.pipeline, streams, codec, logger, groups });
}

export function openSink(config: Config, service: ServiceConfig, logger: Logger): Promise<Sink> {
  const options = { pipeline: config.pipeline, service: service.name, mappings: mappingsOf(service), logger };
  const { target } = service;
  return target.kind === 'postgres' ? openPostgresSink(target.settings, options) : openRedisSink(target.settings, options);
}

export function mappingsOf(service: ServiceConfig): Mapping[] {
  return service.mappings.map((mapping) => ({ ...mapping, transforms: mapping.transforms.map((transform) => makeTransform(transform)) }));
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
    openLog: () => openLog(config, config.streams, logger),
  };
  return loopPart('capture', { logger, state }, (options) => runLoop((run) => captureSession(parts, run), options));
}

export function applyPart(config: Config, service: ServiceConfig, meters: ApplyMeters, { logger, state }: PartTools): Part {
  const parts = {
    service: service.name,
    mappings: mappingsOf(service),
    mappingHash: service.mappingHash,
    logger,
    meters,
    openLog: () => openLog(config, service.streams, logger),
    openSink: () => openSink(config, service, logger),
  };
  return loopPart(`apply ${service.name}`, { logger, state }, (options) => runLoop((run) => applySession(parts, run), options));
}

type LoopOptions = Parameters<typeof runLoop>[1];

function loopPart(name: string, { logger, state }: PartTools, run: (options: LoopOptions) => Promise<void>): Part {
  const onState = (now: LoopState, error?: CrossfadeError) => state.state(name, now, error?.code);
  return { name, run: (signal) => run({ name, signal, logger, onState }) };
}
