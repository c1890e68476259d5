/** One look at a pipeline from outside: log, source and targets are read, nothing is claimed. Unreachable parts say so. */
import type { Config, ServiceConfig } from '../config.ts';
import { tableName } from '../core/change.ts';
import { partitionsOf, topicOf } from '../core/partition.ts';
import type { LogMember, LogState, PartTrouble } from '../core/log-state.ts';
import type { Finding, Logger } from '../core/ports.ts';
import type { Log, PartitionId } from '../core/log-port.ts';
import type { QueueTotals } from '../core/quarantine-port.ts';
import type { Progress } from '../core/sink-port.ts';
import { secondsSince } from '../runtime/lag.ts';
import { type ErrorFields, errorFields } from '../runtime/observe.ts';
import { openLog, openSink, openSource } from '../wire.ts';
import { reasonsOf } from './status-health.ts';
import { type KeptSample, keptSample } from './status-kept.ts';
import { type Asked, askInTime, closeLater, inTime } from './status-patience.ts';
import { partitionSample, type PartitionSample } from './status-partition.ts';

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
export type Trouble = Pick<ErrorFields, 'code' | 'message' | 'remedy'>;

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
  readonly applied: number;
  /** What the target refuses, by table; absent where it does not answer. */
  readonly kept?: readonly KeptSample[];
  readonly partitions: readonly PartitionSample[];
}

const logAsked: Asked = { what: 'the log', code: 'LOG_UNREACHABLE' };
const askLog = <T>(work: () => Promise<T>) => inTime(logAsked, work);

export async function takeSample(config: Config, logger: Logger, now: () => number = Date.now): Promise<Sample> {
  const describing = describeWithSource(config, logger);
  const log = await openedLog(config, logger);
  try {
    const services = await Promise.all(config.services.map((service) => readService({ config, service, logger, log, now })));
    const look = await lookAt(log);
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
  } finally {
    if (!('error' in log)) closeLater(log);
  }
}

interface Described {
  readonly end?: string;
  readonly error?: Trouble;
  readonly describe: (position: string) => string;
}

const asItIs = (position: string): string => position;

/** Only the source can read positions, also while its server is away; where even that fails they are shown as they are. */
async function describeWithSource(config: Config, logger: Logger): Promise<Described> {
  let describe = asItIs;
  try {
    const end = await askInTime(
      { what: 'the source', code: 'SOURCE_UNREACHABLE' },
      () => openSource(config, logger),
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

type Unreachable = { readonly error: Trouble };
type LogLook = { readonly log: Log; readonly state: LogState } | Unreachable;

async function openedLog(config: Config, logger: Logger): Promise<Log | Unreachable> {
  try {
    return await askLog(() => openLog(config, config.streams, logger));
  } catch (thrown) {
    return { error: troubleOf(thrown) };
  }
}

async function lookAt(log: Log | Unreachable): Promise<LogLook> {
  if ('error' in log) return log;
  try {
    return { log, state: await askLog(() => log.state()) };
  } catch (thrown) {
    return { error: troubleOf(thrown) };
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
  readonly log: Log | Unreachable;
  readonly now: () => number;
}

/** First the target, then the log: what a service has applied is in the log before, so it can never seem ahead of it. */
async function readService({ config, service, logger, log, now }: ServiceQuestion): Promise<ServiceSample> {
  const asked = { what: `the target of service ${service.name}`, code: 'TARGET_UNREACHABLE' } as const;
  let progress: ReadonlyMap<PartitionId, Progress> | Unreachable;
  let kept: readonly QueueTotals[] = [];
  try {
    progress = await askInTime(
      asked,
      () => openSink(config, service, logger),
      async (sink) => {
        kept = (await sink.quarantine?.totals()) ?? [];
        return sink.progress();
      },
    );
  } catch (thrown) {
    progress = { error: troubleOf(thrown) };
  }
  const look = await lookAt(log);
  const { objectiveSeconds } = service.lag;
  const objective = objectiveSeconds === undefined ? {} : { objectiveSeconds };
  const head = {
    name: service.name,
    kind: service.target.kind,
    ...objective,
    ...('error' in look ? {} : lifeOf(service.name, look.state)),
  };
  if ('error' in progress) return { ...head, error: progress.error, applied: 0, partitions: [] };
  const known = progress;
  const tablesOf = (partition: PartitionId) =>
    service.mappings.map(({ source }) => tableName(source)).filter((name) => config.routing.get(name)?.topic === topicOf(partition));
  const partitions = await Promise.all(
    service.streams.flatMap(partitionsOf).map((partition) => {
      const waitsSinceMs = 'error' in look ? undefined : look.state.waits.get(service.name)?.get(partition);
      const question = { partition, tables: tablesOf(partition), progress: known.get(partition), waitsSinceMs, nowMs: now() };
      return partitionSample('error' in look ? question : { ...question, look: { ...look, ask: askLog } });
    }),
  );
  return { ...head, ...totalOf(partitions, 'error' in look), kept: kept.map((totals) => keptSample(totals, now())), partitions };
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

function troubleOf(thrown: unknown): Trouble {
  const { code, message, remedy } = errorFields(thrown);
  return { code, message, ...(remedy === undefined ? {} : { remedy }) };
}
