/** `crossfade check`: every problem of every part at once, each with what mends it. Changes nothing. */
import { loadConfig, type Config, problemText, readConfig, type ServiceConfig } from '../config.ts';
import { tableName, type TableSchema } from '../core/change.ts';
import { asCrossfadeError } from '../core/errors.ts';
import type { Finding, Logger } from '../core/ports.ts';
import { errorFields, makeLogger } from '../runtime/observe.ts';
import { mappingsOf, openLog, openSink, openSource } from '../wire.ts';
import type { ExitCode, Invocation } from './command.ts';
import { runbookLink } from './failure.ts';
import { type Output, wrap } from './output.ts';
import { nearest, usage } from './usage.ts';

export interface Problem extends Finding {
  /** What a person does, where there is no statement for it. */
  readonly remedy?: string;
}

export async function check({ flags, output }: Invocation): Promise<ExitCode> {
  const path = flags.text('config') ?? 'crossfade.yaml';
  if (flags.on('json')) {
    const reading = readConfig(path);
    if ('problems' in reading) {
      const findings = reading.problems.map((problem) => ({
        level: 'error',
        code: 'CONFIG_INVALID',
        where: 'configuration',
        message: problemText(path, problem),
      }));
      output.out(`${JSON.stringify({ ok: false, findings })}\n`);
      return 2;
    }
  }
  const config = loadConfig(path);
  const only = flags.text('only');
  const parts = ['source', 'log', ...config.services.map(({ name }) => name)];
  if (only !== undefined && !parts.includes(only))
    throw usage(`--only knows no "${only}"${nearest(only, parts)}`, 'crossfade check --help');
  const findings = await findProblems(config, only);
  const failed = findings.some(({ level }) => level === 'error');
  if (flags.on('json')) output.out(`${JSON.stringify({ ok: !failed, findings })}\n`);
  else if (flags.on('statements')) output.out(statementsText(findings));
  else output.out(reportText(config, findings, output));
  return failed ? 1 : 0;
}

/** All parts at the same time; one that does not answer is a finding itself. */
export async function findProblems(config: Config, only?: string): Promise<readonly Problem[]> {
  const logger = makeLogger({ level: 'silent', format: 'json', write: () => {} });
  const wanted = (name: string) => only === undefined || only === name;
  const source = sourceProblems(config, logger);
  const log = wanted('log') ? logProblems(config, logger) : [];
  const services = config.services
    .filter(({ name }) => wanted(name))
    .map(async (service) => serviceProblems(config, service, (await source).schemas, logger));
  const all = [wanted('source') ? (await source).problems : [], await log, ...(await Promise.all(services))].flat();
  return all.sort((a, b) => Number(a.level !== 'error') - Number(b.level !== 'error'));
}

type Schemas = ReadonlyMap<string, TableSchema>;

async function sourceProblems(config: Config, logger: Logger): Promise<{ problems: readonly Problem[]; schemas: Schemas }> {
  const problems: Problem[] = [];
  const schemas = new Map<string, TableSchema>();
  try {
    await using source = await openSource(config, logger);
    problems.push(...(await source.check()));
    for (const schema of await source.schemas(config.tables)) schemas.set(tableName(schema.table), schema);
  } catch (thrown) {
    const problem = problemOf(thrown, 'source');
    // The check has met the same wall and said so.
    if (!problems.some(({ code }) => code === problem.code)) problems.push(problem);
  }
  return { problems: withoutRepeats(problems), schemas };
}

async function logProblems(config: Config, logger: Logger): Promise<readonly Problem[]> {
  try {
    await using log = await openLog(config, config.streams, logger);
    return await log.check();
  } catch (thrown) {
    return [problemOf(thrown, 'log')];
  }
}

async function serviceProblems(config: Config, service: ServiceConfig, schemas: Schemas, logger: Logger): Promise<readonly Problem[]> {
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
    await using sink = await openSink(config, service, logger);
    problems.push(...(await sink.check(shapes)));
  } catch (thrown) {
    problems.push(problemOf(thrown, where));
  }
  return withoutRepeats(problems);
}

function problemOf(thrown: unknown, where: string): Problem {
  const { code, message, remedy } = errorFields(asCrossfadeError(thrown));
  return { level: 'error', code, where, message, ...(remedy === undefined ? {} : { remedy }) };
}

/** A connector may find the same thing in its check and when its tables are read. */
function withoutRepeats(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify([problem.code, problem.where, problem.message]), problem])).values()];
}

function reportText(config: Config, findings: readonly Problem[], output: Output): string {
  const width = Math.min(100, Math.max(40, output.columns));
  const errors = findings.filter(({ level }) => level === 'error').length;
  const blocks = findings.map(({ level, code, where, message, fix, remedy }) => {
    const mark = output.paint(level === 'error' ? 'red' : 'yellow', level);
    const help = [...(remedy === undefined ? [] : [wrap(remedy, width, '  ')]), ...(fix === undefined ? [] : fixLines(fix, output))];
    return [
      `${mark} ${output.paint('bold', where)}`,
      wrap(message, width, '  '),
      ...help,
      output.paint('dim', `  ${code}, see ${runbookLink(code)}`),
      '',
    ].join('\n');
  });
  const tables = `${config.tables.length} table${config.tables.length === 1 ? '' : 's'}, ${config.services.length} service${config.services.length === 1 ? '' : 's'}`;
  const counted = `${errors} error${errors === 1 ? '' : 's'}, ${findings.length - errors} warning${findings.length - errors === 1 ? '' : 's'}`;
  const verdict = errors === 0 ? output.paint('green', `ready: ${tables}; ${counted}`) : `not ready: ${counted}`;
  return `${[...blocks, verdict].join('\n')}\n`;
}

const fixLines = (fix: string, output: Output) => fix.split('\n').map((line) => `  ${output.paint('cyan', line)}`);

/** Grouped by part, the parts named in comments, so that the text can be piped into the server's own client. */
export function statementsText(findings: readonly Problem[]): string {
  const byPart = Map.groupBy(
    findings.filter(({ fix }) => fix !== undefined),
    ({ where }) => where.split(':')[0] ?? where,
  );
  const parts = [...byPart].map(([part, problems]) => {
    const statements = [...new Set(problems.map(({ fix }) => statementText(fix ?? '')))];
    return `-- ${part}\n${statements.join('\n')}\n`;
  });
  return parts.join('\n');
}

/** A configuration line is no statement: it goes in as a comment, so that the client does not trip over it. */
function statementText(fix: string): string {
  if (!/^\s*(--|\/\*|[A-Z]{3,}\b)/.test(fix)) return fix.replace(/^/gm, '-- ');
  return /;\s*$/.test(fix) ? fix.trimEnd() : `${fix.trimEnd()};`;
}
