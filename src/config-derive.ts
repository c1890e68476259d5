/** What follows from the file: which tables are captured, which stream carries each, what each service makes of them. */
import type { TransformConfig } from '../transforms/all.ts';
import { parseTableName, type TableId, tableName } from './core/change.ts';
import { invariant } from './core/assert.ts';
import type { StreamSpec } from './core/log-port.ts';
import { topicOfStream, topicOfTable } from './core/partition.ts';
import type { ConfigFile, ServiceFile } from './config-schema.ts';
import { describeTarget } from './config-targets.ts';
import type { Path } from './config-yaml.ts';

/** One table of one service, as the file says it; wire.ts makes a Mapping of it. */
export interface MappingConfig {
  readonly source: TableId;
  readonly target: string;
  readonly transforms: readonly TransformConfig[];
  /** The connector's own options, defaults put in. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Streams {
  /** Every table that is captured, in the order of the file. */
  readonly tables: readonly TableId[];
  readonly streams: readonly StreamSpec[];
  /** `db.table` (see tableName) → the stream that carries it. */
  readonly routing: ReadonlyMap<string, StreamSpec>;
}

/** A table named under `streams` is captured even when no service maps it yet: a service that comes later finds it in the log. */
export function deriveStreams(file: ConfigFile): Streams {
  const routing = new Map<string, StreamSpec>();
  const tables = new Map<string, TableId>();
  for (const [name, { tables: members, partitions }] of Object.entries(file.streams)) {
    const stream = { topic: topicOfStream(file.pipeline, name), partitions };
    for (const text of members) routing.set(tableName(tableOf(text)), stream);
  }
  const named = [
    ...Object.values(file.services).flatMap(({ tables }) => Object.keys(tables)),
    ...Object.values(file.streams).flatMap((s) => s.tables),
  ];
  for (const text of named) {
    const table = tableOf(text);
    const name = tableName(table);
    tables.set(name, table);
    if (!routing.has(name)) routing.set(name, { topic: topicOfTable(file.pipeline, table), partitions: 1 });
  }
  return { tables: [...tables.values()], streams: [...new Set(routing.values())], routing };
}

export function deriveMappings({ target, tables }: ServiceFile): MappingConfig[] {
  const { mapping, targetOf } = describeTarget(target.kind);
  const defaults: Readonly<Record<string, unknown>> = mapping.safeParse({}).data ?? {};
  return Object.entries(tables).map(([text, written]) => {
    const source = tableOf(text);
    const { transforms, ...options } = written ?? { ...defaults, transforms: [] };
    return { source, target: targetOf(source, options), transforms, options };
  });
}

export function tableOf(text: string): TableId {
  const table = parseTableName(text);
  invariant(table !== undefined, 'the schema lets only database.table pass');
  return table;
}

/** What the shape alone cannot forbid. */
export function contradictions(file: ConfigFile): { path: Path; message: string; at: 'key' | 'value' }[] {
  return [
    ...nothingToDo(file),
    ...streamClashes(file),
    ...Object.entries(file.services).flatMap(([name, service]) => serviceClashes(name, service)),
  ];
}

function nothingToDo(file: ConfigFile) {
  const some = Object.keys(file.services).length + Object.keys(file.streams).length > 0;
  return some ? [] : [{ path: ['services'], message: 'name at least one service, or there is nothing to do', at: 'key' as const }];
}

function streamClashes(file: ConfigFile) {
  const owner = new Map<string, string>();
  return Object.entries(file.streams).flatMap(([stream, { tables }]) =>
    tables.flatMap((text, index) => {
      const name = tableName(tableOf(text));
      const other = owner.get(name);
      owner.set(name, stream);
      if (other === undefined) return [];
      const message = other === stream ? `${name} stands here twice` : `${name} is in stream ${other} already; a table has one order`;
      return [{ path: ['streams', stream, 'tables', index], message, at: 'value' as const }];
    }),
  );
}

function serviceClashes(service: string, file: ServiceFile) {
  const tables = Object.keys(file.tables);
  const clashes: { path: Path; message: string; at: 'key' | 'value' }[] = [];
  if (tables.length === 0) clashes.push({ path: ['services', service, 'tables'], message: 'name at least one table', at: 'key' });
  const { naming, whenEmpty, noQuarantine } = describeTarget(file.target.kind);
  if (file.onPoison === 'quarantine' && noQuarantine !== undefined)
    clashes.push({ path: ['services', service, 'onPoison'], message: noQuarantine, at: 'value' });
  const owner = new Map<string, string>();
  for (const [index, { source, target }] of deriveMappings(file).entries()) {
    const path = ['services', service, 'tables', tables[index] as string];
    const empty = file.tables[tables[index] as string] === null ? whenEmpty(source) : undefined;
    if (empty !== undefined) {
      clashes.push({ path, message: empty, at: 'key' });
      continue;
    }
    const other = owner.get(target);
    owner.set(target, tableName(source));
    if (other === undefined) continue;
    const message = `goes to ${target}, where ${other} goes already; give one of them another "${naming}"`;
    clashes.push({ path, message, at: 'key' });
  }
  return clashes;
}
