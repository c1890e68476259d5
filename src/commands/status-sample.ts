/** One look at a pipeline from outside: log, source and targets are read, nothing is claimed. Unreachable parts say so. */
import type { Config, ServiceConfig } from '../config.ts';
import { tableName } from '../core/change.ts';
import { type Log, type Logger, type LogState, partitionId, type PartitionId, type Progress } from '../core/ports.ts';
import { type ErrorFields, errorFields } from '../runtime/observe.ts';
import { lagOf } from '../runtime/lag.ts';
import { openLog, openSink, openSource } from '../wire.ts';

export interface Sample {
  readonly pipeline: string;
  readonly atMs: number;
  readonly source: { readonly server: string; readonly end?: string; readonly error?: Trouble };
  readonly log: LogSample;
  readonly services: readonly ServiceSample[];
}
export type Trouble = Pick<ErrorFields, 'code' | 'message' | 'remedy'>;

interface LogSample {
  readonly path: string;
  readonly error?: Trouble;
  /** A pid or member id; absent when nobody leads. */
  readonly leader?: string;
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
  readonly lagSeconds?: number;
  readonly lagChanges?: number;
  readonly applied: number;
  readonly partitions: readonly PartitionSample[];
}

interface PartitionSample {
  readonly partition: PartitionId;
  /** The service's tables that travel in it. */
  readonly tables: readonly string[];
  readonly nextOffset: number;
  readonly endOffset: number;
  readonly lagSeconds?: number;
  readonly lagChanges: number;
}

/** How long a server may take to answer before it counts as unreachable. */
const patienceMs = 5000;

export async function takeSample(config: Config, logger: Logger, now: () => number = Date.now): Promise<Sample> {
  const describing = describeWithSource(config, logger);
  await using open = new AsyncDisposableStack();
  const look = await lookAtLog(config, logger, open);
  const atMs = now();
  const services = await Promise.all(config.services.map((service) => readService(config, service, { logger, look, atMs })));
  const { host, port } = config.source.settings;
  const { end, error, describe } = await describing;
  return {
    pipeline: config.pipeline,
    atMs,
    source: { server: `${host}:${port}`, ...(end === undefined ? {} : { end }), ...(error === undefined ? {} : { error }) },
    log: logSample(config.log.settings.path, look, describe, atMs),
    services,
  };
}

interface Described {
  readonly end?: string;
  readonly error?: Trouble;
  readonly describe: (position: string) => string;
}

/** Only the source can read positions, also while its server is away; where even that fails they are shown as they are. */
async function describeWithSource(config: Config, logger: Logger): Promise<Described> {
  let describe = asItIs;
  try {
    return await inTime('the source', async () => {
      await using source = await openSource(config, logger);
      describe = (position) => source.describe(position);
      return { end: describe(await source.end()), describe };
    });
  } catch (thrown) {
    return { error: troubleOf(thrown), describe };
  }
}

const asItIs = (position: string): string => position;

/** What the log says, and the log itself while it is open. */
type LogLook = { readonly log: Log; readonly state: LogState } | { readonly error: Trouble };

async function lookAtLog(config: Config, logger: Logger, open: AsyncDisposableStack): Promise<LogLook> {
  try {
    const log = open.use(await openLog(config, config.streams, logger));
    return { log, state: await log.state() };
  } catch (thrown) {
    return { error: troubleOf(thrown) };
  }
}

function logSample(path: string, look: LogLook, describe: (position: string) => string, atMs: number): LogSample {
  if ('error' in look) return { path, records: 0, error: look.error };
  const { start, complete, leader, partitions } = look.state;
  const ageSeconds = Math.max(0, atMs / 1000 - (complete?.throughUs ?? 0) / 1e6);
  return {
    path,
    records: [...partitions.values()].reduce((sum, { endOffset }) => sum + endOffset, 0),
    ...(leader === undefined ? {} : { leader }),
    ...(start === undefined ? {} : { start: describe(start.position) }),
    ...(complete === undefined ? {} : { complete: { position: describe(complete.position), ageSeconds } }),
  };
}

/** When the record at an offset was committed in the source. */
async function firstCommit(log: Log, partition: PartitionId, offset: number): Promise<number | undefined> {
  const found = new AbortController();
  const signal = AbortSignal.any([found.signal, AbortSignal.timeout(patienceMs)]);
  try {
    for await (const { records } of log.readFrom(new Map([[partition, offset]]), signal)) {
      found.abort();
      return records.find((record) => record.offset >= offset)?.committedAtUs;
    }
  } catch {
    // Retention may just have deleted it: the lag is then taken from the complete record.
  }
  return undefined;
}

interface ServiceQuestion {
  readonly logger: Logger;
  readonly look: LogLook;
  readonly atMs: number;
}

async function readService(config: Config, service: ServiceConfig, question: ServiceQuestion): Promise<ServiceSample> {
  const head = { name: service.name, kind: service.target.kind };
  let progress: ReadonlyMap<PartitionId, Progress>;
  try {
    progress = await inTime(`service ${service.name}`, async () => {
      await using sink = await openSink(config, service, question.logger);
      return await sink.progress();
    });
  } catch (thrown) {
    return { ...head, error: troubleOf(thrown), applied: 0, partitions: [] };
  }
  const ids = service.streams.flatMap(({ topic, partitions }) => Array.from({ length: partitions }, (_, at) => partitionId(topic, at)));
  const partitions = await Promise.all(
    ids.map((partition) => partitionSample(config, service, partition, progress.get(partition), question)),
  );
  const lags = partitions.flatMap(({ lagSeconds }) => lagSeconds ?? []);
  return {
    ...head,
    applied: partitions.reduce((sum, { nextOffset }) => sum + nextOffset, 0),
    ...('error' in question.look
      ? {}
      : {
          ...(lags.length === partitions.length ? { lagSeconds: Math.max(0, ...lags) } : {}),
          lagChanges: partitions.reduce((sum, { lagChanges }) => sum + lagChanges, 0),
        }),
    partitions,
  };
}

async function partitionSample(
  config: Config,
  service: ServiceConfig,
  partition: PartitionId,
  progress: Progress | undefined,
  { look, atMs }: ServiceQuestion,
): Promise<PartitionSample> {
  const topic = partition.slice(0, partition.lastIndexOf('#'));
  const tables = service.mappings.map(({ source }) => tableName(source)).filter((name) => config.routing.get(name)?.topic === topic);
  const range = 'error' in look ? undefined : look.state.partitions.get(partition);
  const nextOffset = progress?.nextOffset ?? range?.startOffset ?? 0;
  const endOffset = range?.endOffset ?? 0;
  const base = { partition, tables, nextOffset, endOffset };
  if ('error' in look) return { ...base, lagChanges: 0 };
  const nextCommittedAtUs = nextOffset < endOffset ? await firstCommit(look.log, partition, nextOffset) : undefined;
  const { seconds, changes } = lagOf({ partition, log: look.state, nextOffset, nextCommittedAtUs, nowMs: atMs });
  return { ...base, ...(seconds === undefined ? {} : { lagSeconds: seconds }), lagChanges: changes };
}

async function inTime<T>(what: string, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Late(what)), patienceMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

class Late extends Error {
  override readonly name = 'Late';
  constructor(what: string) {
    super(`${what} did not answer within ${patienceMs / 1000} s`);
  }
}

function troubleOf(thrown: unknown): Trouble {
  if (thrown instanceof Late) return { code: 'INTERNAL', message: thrown.message };
  const { code, message, remedy } = errorFields(thrown);
  return { code, message, ...(remedy === undefined ? {} : { remedy }) };
}
