/** What is wrong with the parts of a pipeline: asked of every server, at the same time. */
import { existsSync } from 'node:fs';
import type { Config, ServiceConfig } from '../config.ts';
import { type Position, tableName, type TableSchema } from '../core/change.ts';
import { asCrossfadeError } from '../core/errors.ts';
import type { Finding, Logger } from '../core/ports.ts';
import type { AppliedByOther, Sink } from '../core/sink-port.ts';
import { otherPipelines } from '../runtime/new-log.ts';
import { errorFields, makeLogger } from '../runtime/observe.ts';
import { expectFirstLog, mappingsOf, openLog, openSink, openSource, refuseForeign } from '../wire.ts';

export interface Problem extends Finding {
  /** What a person does, where there is no statement for it. */
  readonly remedy?: string;
}

/** How one part is asked. */
export interface Asking {
  readonly logger: Logger;
  /** Known from the log where the question is asked before a run that reads it; a position is then compared with the source. */
  readonly resume?: Resume;
  /** Whoever asks is to end. */
  readonly stop?: AbortSignal;
  /** Told when everything is loaded, and the part's server is asked for a connection now. */
  readonly connecting?: () => void;
}

export const silentLogger = (): Logger => makeLogger({ level: 'silent', format: 'json', write: () => {} });

/** All parts at the same time, or those of `only`; one that does not answer is a finding itself. */
export async function findProblems(config: Config, only?: readonly string[]): Promise<readonly Problem[]> {
  const logger = silentLogger();
  const wanted = (name: string) => only === undefined || only.includes(name);
  const resume = await resumeOf(config, logger);
  const source = askSource(config, { logger, resume });
  const log = wanted('log') ? logProblems(config, logger, resume) : [];
  const services = config.services
    .filter(({ name }) => wanted(name))
    .map(async (service) => {
      const told = await source;
      const hopeless = wanted('source') ? [] : sourceOf(service, told);
      return [...hopeless, ...(await askService(config, service, told, { logger, resume }))];
    });
  const all = [wanted('source') ? (await source).problems : [], await log, ...(await Promise.all(services))].flat();
  return all.sort((a, b) => Number(a.level !== 'error') - Number(b.level !== 'error'));
}

/** What the source said: what is wrong, and how the tables look that can come. */
export interface SourceAnswer {
  readonly problems: readonly Problem[];
  readonly schemas: ReadonlyMap<string, TableSchema>;
}

/** Where capture would go on, or that it would begin; neither where the log cannot be read, which is its own finding. */
interface Resume {
  readonly isNew: boolean;
  readonly position?: Position;
}

async function resumeOf(config: Config, logger: Logger): Promise<Resume> {
  // Reading its state would make the file, and a check makes nothing.
  if (config.log.kind === 'embedded' && !existsSync(config.log.settings.path)) return { isNew: true };
  try {
    await using log = await openLog(config, config.streams, logger);
    const { complete, start } = await log.state();
    const position = complete?.position ?? start?.position;
    return position === undefined ? { isNew: true } : { isNew: false, position };
  } catch {
    return { isNew: false };
  }
}

/** The first start of a log that only seems to be the first. */
async function firstLogProblems(config: Config, logger: Logger): Promise<readonly Problem[]> {
  try {
    await expectFirstLog(config, logger);
    return [];
  } catch (thrown) {
    const problem = problemOf(thrown, 'log');
    // A target that does not answer, or that another pipeline filled, is that service's finding.
    return problem.code === 'LOG_LOST_HISTORY' ? [problem] : [];
  }
}

export async function askSource(config: Config, { logger, resume, connecting }: Asking): Promise<SourceAnswer> {
  const problems: Problem[] = [];
  const schemas = new Map<string, TableSchema>();
  try {
    await using source = await openSource(config, logger);
    connecting?.();
    problems.push(...(await source.check(resume?.position)));
    for (const schema of await source.schemas(config.tables)) schemas.set(tableName(schema.table), schema);
  } catch (thrown) {
    const problem = problemOf(thrown, 'source');
    // The check has met the same wall and said so.
    if (!problems.some(({ code }) => code === problem.code)) problems.push(problem);
  }
  // Nothing is asked of a target for a table that cannot come: its statements would make what nobody fills.
  for (const { where } of problems.filter(isAboutTable)) schemas.delete(where.slice(sourceTable.length));
  return { problems: withoutRepeats(problems), schemas };
}

const sourceTable = 'source: ';
const isAboutTable = ({ level, where, code }: Problem) =>
  level === 'error' &&
  where.startsWith(sourceTable) &&
  (code === 'SOURCE_TABLE_MISSING' || code === 'SOURCE_TABLE_KEYLESS' || code === 'SOURCE_TYPE_UNSUPPORTED');

/**
 * A service that is looked at alone must not seem ready when its tables cannot come, or when nobody could ask what
 * they look like; the statements for that are another server's.
 */
export function sourceOf(service: ServiceConfig, { problems }: SourceAnswer): Problem[] {
  const mapped = new Set(service.mappings.map(({ source }) => `${sourceTable}${tableName(source)}`));
  return problems
    .filter((problem) => (isAboutTable(problem) && mapped.has(problem.where)) || unasked.has(problem.code))
    .map(({ code, level, where, message }) => ({ code, level, where, message, remedy: 'See `crossfade check --only source`.' }));
}

const unasked = new Set(['SOURCE_UNREACHABLE', 'SOURCE_AUTH', 'SOURCE_FAILED']);

async function logProblems(config: Config, logger: Logger, { isNew }: Resume): Promise<readonly Problem[]> {
  try {
    await using log = await openLog(config, config.streams, logger);
    const problems = await log.check();
    return isNew ? [...problems, ...(await firstLogProblems(config, logger))] : problems;
  } catch (thrown) {
    return [problemOf(thrown, 'log')];
  }
}

export async function askService(
  config: Config,
  service: ServiceConfig,
  { schemas }: SourceAnswer,
  { logger, resume, stop, connecting }: Asking,
): Promise<readonly Problem[]> {
  const where = `service ${service.name}`;
  const problems: Problem[] = [];
  const shapes = mappingsOf(service).map(({ source, transforms }) => {
    const schema = schemas.get(tableName(source));
    try {
      return schema && transforms.reduce((shape, transform) => transform.schema(shape), schema);
    } catch (thrown) {
      problems.push(problemOf(thrown, `${where}: ${tableName(source)}`));
      return undefined;
    }
  });
  try {
    await using sink = await openSink(config, service, logger, stop);
    connecting?.();
    problems.push(...(await sink.check(shapes)));
    const others = await predecessors(sink);
    // A log that has begun, or begins where a person said, is past the question; a new one would be refused.
    if (resume?.isNew && config.source.settings.start === undefined) problems.push(...refusal(service, others));
    else problems.push(...otherPipelines(where, others));
  } catch (thrown) {
    problems.push(problemOf(thrown, where));
  }
  return withoutRepeats(problems);
}

/** What cannot be asked here, the sink's own check has named. */
async function predecessors(sink: Sink): Promise<readonly AppliedByOther[]> {
  try {
    return (await sink.progress()).size > 0 ? [] : await sink.appliedByOthers();
  } catch {
    return [];
  }
}

function refusal(service: ServiceConfig, others: readonly AppliedByOther[]): Problem[] {
  try {
    refuseForeign(service, others);
    return [];
  } catch (thrown) {
    return [problemOf(thrown, `service ${service.name}`)];
  }
}

function problemOf(thrown: unknown, where: string): Problem {
  const { code, message, remedy: told } = errorFields(asCrossfadeError(thrown));
  const remedy = lookRemedies[code] ?? told;
  return { level: 'error', code, where, message, ...(remedy === undefined ? {} : { remedy }) };
}

const unreachable =
  'Look at its address in the configuration, at the server and the network, then check again. (`crossfade run` would wait for it.)';

/** A look is made once: "tries again by itself" is true of `run` only. */
const lookRemedies: Readonly<Record<string, string>> = {
  SOURCE_UNREACHABLE: unreachable,
  TARGET_UNREACHABLE: unreachable,
};

/** A connector may find the same thing in its check and when its tables are read. */
function withoutRepeats(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify([problem.code, problem.where, problem.message]), problem])).values()];
}
