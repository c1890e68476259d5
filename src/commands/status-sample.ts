/** One look at a pipeline from outside: log, source and targets are read, nothing is claimed. Unreachable parts say so. */
import type { Config, ServiceConfig } from '../config.ts';
import { tableName } from '../core/change.ts';
import { partitionsOf, topicOf } from '../core/partition.ts';
import type { LogMember, LogState, PartTrouble } from '../core/log-state.ts';
import type { Finding, Logger } from '../core/ports.ts';
import type { PartitionId } from '../core/log-port.ts';
import type { QueueTotals } from '../core/quarantine-port.ts';
import { secondsSince } from '../runtime/lag.ts';
import { openLog, openSink, openSource } from '../wire.ts';
import { reasonsOf } from './status-health.ts';
import { type KeptSample, keptSample } from './status-kept.ts';
import { askLog, type LogLook, LogLooks, type Trouble, troubleOf, type Unreachable } from './status-look.ts';
import { partitionSample, type PartitionSample, type Place } from './status-partition.ts';
import { askInTime } from './status-patience.ts';

export interface Sample {
  readonly pipeline: string;
  readonly atMs: number;
  readonly healthy: boolean;
  /** Why it is not: part and code, or a few words. */
  readonly reasons: readonly string[];
  readonly source: { readonly server: string; readonly end?: string; readonly error?: Trouble };
  readonly log: LogSample;
  readonly services: readonly ServiceSample[];
}

interface LogSample {
  readonly path: string;
  readonly error?: Trouble;
  /** Absent when nobody leads. */
  readonly leader?: LogMember;
  /** What capture last ran into and has not got over. */
  readonly trouble?: PartTrouble;
  /** The log has little room left, or none. */
  readonly room?: Finding;
  /** Where capture began, and up to where the log is complete, in the source's own form. */
  readonly start?: string;
  readonly complete?: { readonly position: string; readonly ageSeconds: number };
  /** Over all partitions, since the log's life began. */
  readonly records: number;
}

export interface ServiceSample {
  readonly name: string;
  readonly kind: string;
  readonly error?: Trouble;
  /** The processes that apply it, as the log says; absent where the log does not answer. */
  readonly members?: readonly LogMember[];
  /** What it last ran into and has not got over. */
  readonly trouble?: PartTrouble;
  /** Absent: unknown in at least one partition. */
  readonly lagSeconds?: number;
  readonly objectiveSeconds?: number;
  readonly lagChanges?: number;
  /** The target does not answer: `applied` and lag follow from what the service last told the log, so the lag is at most this. */
  readonly isNoted?: true;
  readonly applied: number;
  /** What the target refuses, by table; absent where it does not answer. */
  readonly kept?: readonly KeptSample[];
  readonly partitions: readonly PartitionSample[];
}

/** What is asked, as `wire.ts` opens it. */
export interface Servers {
  readonly openLog: typeof openLog;
  readonly openSink: typeof openSink;
  readonly openSource: typeof openSource;
}

export async function takeSample(
  config: Config,
  logger: Logger,
  now: () => number = Date.now,
  servers: Servers = { openLog, openSink, openSource },
): Promise<Sample> {
  const describing = describeWithSource(config, logger, servers);
  using looks = new LogLooks(() => servers.openLog(config, config.streams, logger));
  const services = await Promise.all(config.services.map((service) => readService({ config, service, logger, looks, now, servers })));
  const look = await looks.latest();
  const { end, error, describe } = await describing;
  const { host, port } = config.source.settings;
  const sample = {
    pipeline: config.pipeline,
    atMs: now(),
    source: { server: `${host}:${port}`, ...(end === undefined ? {} : { end }), ...(error === undefined ? {} : { error }) },
    log: logSample(config.log.name, look, describe, now()),
    services,
  };
  const reasons = reasonsOf(sample);
  return { ...sample, healthy: reasons.length === 0, reasons };
}

interface Described {
  readonly end?: string;
  readonly error?: Trouble;
  readonly describe: (position: string) => string;
}

const asItIs = (position: string): string => position;

/** Only the source can read positions, also while its server is away; where even that fails they are shown as they are. */
async function describeWithSource(config: Config, logger: Logger, { openSource: open }: Servers): Promise<Described> {
  let describe = asItIs;
  try {
    const end = await askInTime(
      { what: 'the source', code: 'SOURCE_UNREACHABLE' },
      () => open(config, logger),
      async (source) => {
        describe = (position) => source.describe(position);
        return describe(await source.end());
      },
    );
    return { end, describe };
  } catch (thrown) {
    return { error: troubleOf(thrown), describe };
  }
}

function logSample(path: string, look: LogLook, describe: (position: string) => string, atMs: number): LogSample {
  if ('error' in look) return { path, records: 0, error: look.error };
  const { start, complete, leader, room, troubles, partitions } = look.state;
  const trouble = troubles.get('capture');
  const ageSeconds = secondsSince(complete?.throughUs, complete, atMs) ?? 0;
  return {
    path,
    records: [...partitions.values()].reduce((sum, { endOffset }) => sum + endOffset, 0),
    ...(leader === undefined ? {} : { leader }),
    ...(trouble === undefined ? {} : { trouble }),
    ...(room === undefined ? {} : { room }),
    ...(start === undefined ? {} : { start: describe(start.position) }),
    ...(complete === undefined ? {} : { complete: { position: describe(complete.position), ageSeconds } }),
  };
}

interface ServiceQuestion {
  readonly config: Config;
  readonly service: ServiceConfig;
  readonly logger: Logger;
  readonly looks: LogLooks;
  readonly now: () => number;
  readonly servers: Servers;
}

/** First the target, then the log: what a service has applied is in the log before, so it can never seem ahead of it. */
async function readService({ config, service, logger, looks, now, servers }: ServiceQuestion): Promise<ServiceSample> {
  const asked = { what: `the target of service ${service.name}`, code: 'TARGET_UNREACHABLE' } as const;
  let progress: ReadonlyMap<PartitionId, Place> | Unreachable;
  let kept: readonly QueueTotals[] = [];
  try {
    progress = await askInTime(
      asked,
      () => servers.openSink(config, service, logger),
      async (sink) => {
        kept = (await sink.quarantine?.totals()) ?? [];
        return sink.progress();
      },
    );
  } catch (thrown) {
    progress = { error: troubleOf(thrown) };
  }
  const look = await looks.look();
  const { objectiveSeconds } = service.lag;
  const objective = objectiveSeconds === undefined ? {} : { objectiveSeconds };
  const head = {
    name: service.name,
    kind: service.target.kind,
    ...objective,
    ...('error' in look ? {} : lifeOf(service.name, look.state)),
  };
  if ('error' in progress && 'error' in look) return { ...head, error: progress.error, applied: 0, partitions: [] };
  const places = 'error' in progress ? notedPlaces(service, look) : progress;
  const tablesOf = (partition: PartitionId) =>
    service.mappings.map(({ source }) => tableName(source)).filter((name) => config.routing.get(name)?.topic === topicOf(partition));
  const partitions = await Promise.all(
    service.streams.flatMap(partitionsOf).map((partition) => {
      const waitsSinceMs = 'error' in look ? undefined : look.state.waits.get(service.name)?.get(partition);
      const question = { partition, tables: tablesOf(partition), progress: places.get(partition), waitsSinceMs, nowMs: now() };
      return partitionSample('error' in look ? question : { ...question, look: { ...look, ask: askLog } });
    }),
  );
  const total = { ...head, ...totalOf(partitions, 'error' in look) };
  if ('error' in progress) return { ...total, error: progress.error, isNoted: true, partitions };
  return { ...total, kept: kept.map((totals) => keptSample(totals, now())), partitions };
}

/** Where the service stands at least, as it last told the log: a lag from there is not less than the true one. */
function notedPlaces({ name }: ServiceConfig, look: LogLook): ReadonlyMap<PartitionId, Place> {
  if ('error' in look) return new Map();
  const { groups, partitions } = look.state;
  return new Map(
    [...(groups.get(name) ?? [])].flatMap(([partition, nextOffset]) => {
      const range = partitions.get(partition);
      // What the service said of an earlier life of the log says nothing of this one.
      return range === undefined || nextOffset < range.startOffset || nextOffset > range.endOffset
        ? []
        : [[partition, { logId: range.logId, nextOffset }] as const];
    }),
  );
}

/** Who applies it, and what it last ran into. */
function lifeOf(service: string, { members, troubles }: LogState): Pick<ServiceSample, 'members' | 'trouble'> {
  const trouble = troubles.get(`apply ${service}`);
  return { members: members.get(service) ?? [], ...(trouble === undefined ? {} : { trouble }) };
}

function totalOf(partitions: readonly PartitionSample[], blind: boolean): Pick<ServiceSample, 'applied' | 'lagSeconds' | 'lagChanges'> {
  const applied = partitions.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
  if (blind) return { applied };
  const lags = partitions.flatMap(({ lagSeconds }) => lagSeconds ?? []);
  return {
    applied,
    ...(lags.length === partitions.length ? { lagSeconds: Math.max(0, ...lags) } : {}),
    lagChanges: partitions.reduce((sum, { lagChanges }) => sum + lagChanges, 0),
  };
}
