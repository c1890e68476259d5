/** `crossfade init`: looks at the servers and writes a configuration that streams what can be streamed. */
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { environment, parseConfig, type Config } from '../config.ts';
import { targetKinds, targets } from '../config-targets.ts';
import { type TableId, tableName, type TableSchema } from '../core/change.ts';
import { asCrossfadeError, CrossfadeError, type ErrorCode } from '../core/errors.ts';
import type { Finding, Logger } from '../core/ports.ts';
import { makeLogger } from '../runtime/observe.ts';
import { discoverTables, openSink, openSource } from '../wire.ts';
import { isStatement, statementsText } from './check-text.ts';
import type { ExitCode, Invocation } from './command.ts';
import { endsEarly, type Found, maskUrl, type MaskedUrl, plainName, starterText, withoutDatabase } from './init-file.ts';
import { usage } from './usage.ts';

const see = 'crossfade init --help';

export async function init({ flags, words, output }: Invocation): Promise<ExitCode> {
  const file = flags.text('output') ?? 'crossfade.yaml';
  const source = masked(words[0] ?? '', 'MYSQL_PASSWORD', /^(mysql|mariadb):\/\//i, 'mysql://USER@HOST:PORT/DATABASE (or mariadb://…)');
  const target = words[1] === undefined ? undefined : targetOf(words[1]);
  if (existsSync(file) && !flags.on('force')) throw usage(`${file} is there already; --force overwrites it, --output names another`, see);
  const database = /^[^:]+:\/\/(?:[^@]*@)?[^/]*\/([^?#]+)/.exec(source.url)?.[1];
  const sourceUrl = withoutDatabase(source.url);
  const service = target ?? {
    name: 'target',
    kind: 'postgres' as const,
    url: 'postgres://crossfade:${TARGET_PASSWORD}@localhost:5432/target',
    example: true,
  };
  const secrets = secretsOf(source, target);
  const logger = makeLogger({ level: 'silent', format: 'json', write: () => {} });
  const base = { pipeline: plainName(database ?? 'crossfade', 'crossfade'), sourceUrl, service };
  if (output.live) output.err(`looking at the source${target ? ` and at ${target.kind}` : ''} …\n`);
  const found = await asked(
    /^mariadb:/i.test(source.url) ? 'MariaDB' : 'MySQL',
    look(base, database === undefined ? undefined : decodeURIComponent(database), file, secrets, logger),
  );
  const text = starterText(found);
  const missing = target ? await asked(target.kind, missingInTarget(parsed(text, file, secrets), found.tables, logger)) : [];
  writeFileSync(file, text, { mode: 0o640 });
  if (flags.on('json')) {
    const result = {
      file,
      tables: found.tables.map(({ table }) => tableName(table)),
      refused: found.refused.map(({ table, why }) => ({ table: tableName(table), why })),
      variables: Object.keys(secrets),
      findings: missing,
    };
    output.out(`${JSON.stringify(result)}\n`);
    return 0;
  }
  output.out(`${report(file, found, Object.keys(secrets))}\n`);
  if (missing.length > 0) output.out(`\nMissing in ${service.name}:\n\n${statementsText(missing)}\n`);
  return 0;
}

/** The connectors' remedies speak of a configuration, and of a loop that tries again; here a person has typed a URL. */
async function asked<T>(server: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (thrown) {
    const error = asCrossfadeError(thrown);
    const { code, fault, message } = error;
    const remedy = code.endsWith('_AUTH')
      ? `Correct user, password and database in the ${server} URL, then run init again; nothing was written.`
      : `Look at host and port in the ${server} URL, at the server and the network, then run init again; nothing was written.`;
    throw /_(AUTH|UNREACHABLE)$/.test(code) ? new CrossfadeError({ code, fault, message, remedy, cause: error.cause }) : error;
  }
}

function masked(url: string, variable: string, pattern: RegExp, form: string): MaskedUrl {
  if (pattern.test(url) && endsEarly(url)) {
    const codes = '@ is %40, / is %2F, ? is %3F, # is %23, : is %3A, % is %25';
    throw usage(
      `before the last @ of the URL, in the user's name or the password, stands a character that ends it: percent-encode it in this URL (${codes}); in ${variable} write the password as it is`,
      see,
    );
  }
  const result = pattern.test(url) ? maskUrl(url, variable) : undefined;
  if (!result) throw notOfTheForm(form);
  return result;
}
const notOfTheForm = (form: string) => usage(`the URL is not of the form ${form}`, see);

type Target = Found['service'] & { readonly secret: MaskedUrl };

function targetOf(text: string): Target {
  const kind = targetKinds.find((each) => targets[each].url.pattern.test(text));
  if (!kind) throw notOfTheForm(targetKinds.map((each) => targets[each].url.form).join(' or '));
  const { pattern, form } = targets[kind].url;
  const secret = masked(text, `${kind.toUpperCase()}_PASSWORD`, pattern, form);
  const database = /^[^:]+:\/\/(?:.*@)?[^/]*\/([^?#]+)/.exec(secret.url)?.[1];
  return { name: plainName(database ?? kind, kind), kind, url: secret.url, example: false, secret };
}

/** Variable → password, of the URLs that had one. */
function secretsOf(source: MaskedUrl, target: Target | undefined): Record<string, string> {
  const pairs = [source, target?.secret].flatMap((each) =>
    each?.variable === undefined ? [] : [[each.variable, each.password ?? ''] as const],
  );
  return Object.fromEntries(pairs);
}

/** The tables that the server has; those that it cannot stream stay out of the file, with the reason. */
async function look(
  base: Pick<Found, 'pipeline' | 'sourceUrl' | 'service'>,
  database: string | undefined,
  file: string,
  secrets: Record<string, string>,
  logger: Logger,
): Promise<Found> {
  const empty: TableSchema = { id: '', table: { database: database ?? 'shop', table: 'any' }, columns: [], key: ['id'] };
  const { source } = parsed(starterText({ ...base, tables: [empty], refused: [] }), file, secrets);
  const all = await discoverTables(source.settings, database);
  if (all.length === 0) {
    throw new CrossfadeError({
      code: 'SOURCE_TABLE_MISSING',
      fault: 'fatal',
      message: `the source has no table${database === undefined ? '' : ` in database ${database}`} that this user may see`,
      remedy: 'Correct the database in the URL, or grant SELECT on the tables.',
    });
  }
  await using live = await openSource({ source, tables: all, keys: new Map() }, logger);
  const findings = await live.check();
  const refused = all.flatMap((table) => {
    const problem = findings.find((finding) => finding.level === 'error' && concerns(finding, table));
    return problem ? [{ table, why: problem.message.split('\n')[0] ?? problem.code }] : [];
  });
  const usable = all.filter((table) => !refused.some((each) => tableName(each.table) === tableName(table)));
  const tables = await live.schemas(usable);
  const described = new Set(tables.map(({ table }) => tableName(table)));
  const others = usable.filter((table) => !described.has(tableName(table)));
  const why = 'it has no key, or a column of a type that is not carried';
  return { ...base, tables, refused: [...refused, ...others.map((table) => ({ table, why }))] };
}

/** A finding about one table has its name as the last part of `where`, or in its message. */
function concerns({ where, message }: Finding, table: TableId): boolean {
  const name = tableName(table);
  return where.endsWith(` ${name}`) || where === name || message.split(/[\s,;:"']+/).includes(name);
}

function parsed(text: string, file: string, secrets: Record<string, string>): Config {
  const reading = parseConfig(text, resolve(file), {
    environment: { TARGET_PASSWORD: '', ...environment, ...secrets },
    readSecret: () => undefined,
  });
  if ('config' in reading) return reading.config;
  // No file holds this yet, so nobody could look at a line of it.
  const problems = reading.problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('\n');
  throw usage(`what was given does not make a configuration:\n${problems}`, see);
}

async function missingInTarget(config: Config, schemas: readonly TableSchema[], logger: Logger): Promise<readonly Finding[]> {
  const [service] = config.services;
  if (!service) return [];
  await using sink = await openSink(config, service, logger);
  const findings = await sink.check(schemas);
  // What is wrong with the server as a whole, and no statement mends, is wrong with the URL.
  const wall = findings.find(
    ({ level, code, where, fix }) =>
      level === 'error' && (/_(AUTH|UNREACHABLE)$/.test(code) || (!where.includes(':') && !isStatement(fix ?? ''))),
  );
  if (wall)
    throw new CrossfadeError({
      code: wall.code as ErrorCode,
      fault: 'fatal',
      message: wall.message,
      remedy: `Correct what is wrong in the ${service.target.kind} URL or on that server, then run init again; nothing was written.`,
    });
  return findings.filter(({ fix }) => fix !== undefined);
}

function report(file: string, { tables, refused, service }: Found, variables: readonly string[]): string {
  const lines = [`wrote ${file}: ${tables.length} table${tables.length === 1 ? '' : 's'} into service ${service.name} (${service.kind})`];
  for (const { table, why } of refused) lines.push(`  left out ${tableName(table)}: ${why}`);
  if (service.example) lines.push('  the service is an example: put the address of your own target into the file');
  const names = service.example ? [...variables, 'TARGET_PASSWORD'] : variables;
  if (names.length > 0)
    lines.push('', 'Passwords are not in the file. Before check and run:', ...names.map((name) => `  export ${name}=...`));
  lines.push('', 'Next: crossfade check, then crossfade run');
  return lines.join('\n');
}
