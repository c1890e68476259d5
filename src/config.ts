/**
 * The whole configuration of a pipeline, read once at the start: YAML text → variables → schema → what follows from it.
 * The only reader of the environment. No message here ever holds a value of the file: any of them may be a secret.
 */
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { MysqlSettings } from '../connectors/mysql/config.ts';
import type { TableId } from './core/change.ts';
import { tableName } from './core/change.ts';
import { CrossfadeError } from './core/errors.ts';
import type { PartitionId, StreamSpec } from './core/log-port.ts';
import type { PoisonPolicy } from './core/quarantine-port.ts';
import { contradictions, deriveMappings, deriveStreams, type MappingConfig, tableOf } from './config-derive.ts';
import { type HttpConfig, httpOf, type LagConfig, type LagFile, lagOfService } from './config-health.ts';
import { logConfig, type LogConfig, tlsOfLog } from './config-log.ts';
import { mappingHashOf } from './config-mapping-hash.ts';
import { withMisspelled } from './config-misspelled.ts';
import { type Complaint, complaints, flatten } from './config-problems.ts';
import { type ConfigFile, fileSchema, jsonSchema, type ServiceFile } from './config-schema.ts';
import type { Target } from './config-targets.ts';
import { type Tls, tlsFiles, tlsIn } from './config-tls.ts';
import { pathKey, substitute, unsetVariable, type VariableSources } from './config-variables.ts';
import { type ConfigProblem, type Path, pathText, readYaml, type YamlFile } from './config-yaml.ts';

export interface Config {
  /** Where the file lies, absolute. */
  readonly path: string;
  readonly pipeline: string;
  readonly source: { readonly settings: MysqlSettings };
  readonly log: LogConfig;
  readonly services: readonly ServiceConfig[];
  /** Every table that is captured. */
  readonly tables: readonly TableId[];
  /** `db.table` → key columns, for tables that have no key of their own. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  readonly streams: readonly StreamSpec[];
  /** `db.table` → the stream that carries it. */
  readonly routing: ReadonlyMap<string, StreamSpec>;
  readonly http: HttpConfig;
  /** For what is said of the pipeline as a whole. */
  readonly alert?: string;
}

export interface ServiceConfig {
  readonly name: string;
  readonly target: Target;
  readonly mappings: readonly MappingConfig[];
  /** The streams that carry this service's tables. */
  readonly streams: readonly StreamSpec[];
  readonly mappingHash: (partition: PartitionId) => string;
  readonly lag: LagConfig;
  readonly onPoison: PoisonPolicy;
}

/** The one door to the process's environment. */
export const environment: Readonly<Record<string, string | undefined>> = process.env;

const fromProcess: VariableSources = { environment, readSecret: (path) => readText(path) };

export type Reading = { readonly config: Config } | { readonly problems: readonly ConfigProblem[] };

/** Reads the file or throws: CONFIG_UNREADABLE, or CONFIG_INVALID with every problem in its message. */
export function loadConfig(path: string, variables: VariableSources = fromProcess): Config {
  const reading = readConfig(path, variables);
  if ('config' in reading) return reading.config;
  const lines = reading.problems.map((problem) => `  ${problemText(path, problem)}`);
  throw new CrossfadeError({
    code: 'CONFIG_INVALID',
    fault: 'fatal',
    message: `${lines.length === 1 ? 'one problem' : `${lines.length} problems`} in ${basename(path)}:\n${lines.join('\n')}`,
    remedy: remedyOf(reading.problems),
  });
}

/** Where only variables are missing the file is right. */
function remedyOf(problems: readonly ConfigProblem[]): string {
  const names = problems.map(({ message }) => unsetVariable.exec(message)?.[1]);
  if (names.includes(undefined)) return 'Correct the file; `crossfade config reference` names every setting.';
  return `Set what is missing, then start again: ${[...new Set(names)].map((name) => `export ${name}=…`).join('; ')}`;
}

/** `crossfade.yaml:12:5 services.orders: …`. */
export function problemText(path: string, { line, column, path: setting, message }: ConfigProblem): string {
  const place = line === undefined ? basename(path) : `${basename(path)}:${line}:${column}`;
  return setting === '' ? `${place} ${message}` : `${place} ${setting}: ${message}`;
}

/** The configuration, or all that is wrong with it; throws only where the file cannot be read at all. */
export function readConfig(path: string, variables: VariableSources = fromProcess): Reading {
  const text = readText(path);
  if (text !== undefined) return parseConfig(text, resolve(path), variables);
  throw new CrossfadeError({
    code: 'CONFIG_UNREADABLE',
    fault: 'fatal',
    message: `the configuration file ${path} cannot be read`,
    remedy: 'Name the file with --config FILE, or write one with `crossfade init MYSQL_URL`.',
  });
}

export function parseConfig(text: string, path: string, variables: VariableSources): Reading {
  const yaml = readYaml(text);
  if ('problems' in yaml) return yaml;
  const { file } = yaml;
  if (file.data === null) return { problems: [file.problem([], 'the file is empty; `crossfade init` writes a first one')] };
  const early = unfinished(file);
  const { data, missing, whole } = substitute(file.data, variables);
  const unset = missing.map((each) => file.problem(each.path, each.message));
  const result = parseData(data, whole);
  const follows = (settings: ConfigFile) => [...contradictions(settings), ...unreadable(settings, dirname(path), variables)];
  const judge = (raw: unknown): readonly Complaint[] => {
    const now = substitute(raw, variables);
    const parsed = parseData(now.data, now.whole);
    return parsed.success ? follows(parsed.data) : complaints(parsed.error.issues, jsonSchema(), raw);
  };
  const hidden = new Set([...missing.map((each) => pathText(each.path)), ...early.map((each) => each.path)]);
  const wrong = result.success ? follows(result.data) : withMisspelled(file.data, judge);
  const found = wrong.map((each) => file.problem(each.path, each.message, each.at)).filter((each) => !hidden.has(each.path));
  const problems = [...early, ...unset, ...found].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  return result.success && problems.length === 0 ? { config: derive(result.data, path) } : { problems };
}

function parseData(data: unknown, whole: ReadonlySet<string>) {
  const parsed = fileSchema.safeParse(data);
  if (parsed.success || whole.size === 0) return parsed;
  return fileSchema.safeParse(withNumbers(data, flatten(parsed.error.issues, []), whole));
}

/** The one word that looks as if it were enough. */
function unfinished(file: YamlFile): ConfigProblem[] {
  if (!isObject(file.data) || file.data['log'] !== 'kafka') return [];
  return [file.problem(['log'], 'Kafka needs the name of a broker: `log: { kafka: "HOST:9092" }`')];
}

/** A variable is text; where the schema wants a number or a boolean and the text is one, it is taken as that. */
function withNumbers(data: unknown, issues: readonly { code?: string; path: Path }[], whole: ReadonlySet<string>): unknown {
  const wanted = new Set(issues.filter(({ code }) => code === 'invalid_type').map(({ path }) => pathKey(path)));
  const walk = (node: unknown, path: Path): unknown => {
    if (typeof node === 'string') return whole.has(pathKey(path)) && wanted.has(pathKey(path)) ? scalarOf(node) : node;
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]));
    if (!isObject(node)) return node;
    return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, walk(value, [...path, name])]));
  };
  return walk(data, []);
}

function scalarOf(text: string): unknown {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  return text === 'true' ? true : text === 'false' ? false : text;
}

function derive(file: ConfigFile, path: string): Config {
  const folder = dirname(path);
  const { tables, streams, routing } = deriveStreams(file);
  return {
    path,
    pipeline: file.pipeline,
    source: { settings: inFolder(folder, file.source.mysql) },
    log: logConfig(file.log, file.pipeline, path),
    services: Object.entries(file.services).map(([name, service]) => serviceConfig(name, service, folder, routing, file.lag)),
    tables,
    // A set: spread over partitions by its text, a row must stay in its partition when a person writes the columns in another order.
    keys: new Map(Object.entries(file.source.keys).map(([table, columns]) => [tableName(tableOf(table)), [...new Set(columns)].sort()])),
    streams,
    routing,
    http: httpOf(file.http),
    ...(file.lag?.alert === undefined ? {} : { alert: file.lag.alert }),
  };
}

function serviceConfig(name: string, service: ServiceFile, folder: string, routing: Config['routing'], lag: LagFile): ServiceConfig {
  const mappings = deriveMappings(service);
  return {
    name,
    target: { ...service.target, settings: inFolder(folder, service.target.settings) } as Target,
    mappings,
    streams: [...new Set(mappings.flatMap(({ source }) => routing.get(tableName(source)) ?? []))],
    mappingHash: mappingHashOf(service.target.kind, mappings, routing),
    lag: lagOfService(lag, service.lag),
    onPoison: service.onPoison,
  };
}

function inFolder<Settings extends { readonly tls: Tls }>(folder: string, settings: Settings): Settings {
  return { ...settings, tls: tlsIn(folder, settings.tls) };
}

/** A certificate that is not there is told with its place in the file, before any server is asked. */
function unreadable(file: ConfigFile, folder: string, { readSecret }: VariableSources): Complaint[] {
  const servers: [Path, Tls][] = [
    [['source', 'mysql'], file.source.mysql.tls],
    [['log', 'kafka'], tlsOfLog(file.log)],
    ...Object.entries(file.services).map(([name, { target }]): [Path, Tls] => [['services', name, target.kind], target.settings.tls]),
  ];
  return servers.flatMap(([path, tls]) =>
    tlsFiles(tls)
      .filter(([, name]) => readSecret(resolve(folder, name)) === undefined)
      .map(([setting]) => ({ path: [...path, 'tls', setting], message: 'names a file that cannot be read', at: 'value' as const })),
  );
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // The caller names the file; why it cannot be read (missing, a directory, forbidden) is one remedy.
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
