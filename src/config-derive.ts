/** What follows from the file: which tables are captured, which stream carries each, what each service makes of them. */
import { createHash } from 'node:crypto';
import { parseTableName, type TableId, tableName } from './core/change.ts';
import { invariant } from './core/assert.ts';
import type { PartitionId, StreamSpec } from './core/ports.ts';
import { topicOfStream, topicOfTable } from './core/partition.ts';
import type { ConfigFile, ServiceFile } from './config-schema.ts';
import type { Path } from './config-yaml.ts';

type TransformConfig = NonNullable<ServiceFile['tables'][string]>['transforms'][number];

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

export function deriveMappings(service: ServiceFile): MappingConfig[] {
  return Object.entries(service.tables).map(([text, mapping]) => {
    const source = tableOf(text);
    const { transforms = [], ...options } = mapping ?? {};
    return { source, target: targetOf(service, source, options), transforms, options };
  });
}

/** The same name in the target, where the file does not say another. */
function targetOf(service: ServiceFile, { table }: TableId, options: Readonly<Record<string, unknown>>): string {
  const named = 'postgres' in service ? options['to'] : options['key'];
  if (typeof named === 'string') return named;
  return 'postgres' in service ? `public.${/^[^".]+$/.test(table) ? table : `"${table.replaceAll('"', '""')}"`}` : table;
}

/** Digest of the mappings whose tables are in a partition: progress that was made under others is not of these. */
export function mappingHashOf(mappings: readonly MappingConfig[], routing: Streams['routing']): (partition: PartitionId) => string {
  const byTopic = new Map<string, string>();
  for (const topic of new Set([...routing.values()].map((stream) => stream.topic))) {
    const inTopic = mappings.filter(({ source }) => routing.get(tableName(source))?.topic === topic);
    const text = canonicalJson(inTopic.map((mapping) => ({ ...mapping, source: tableName(mapping.source) })));
    byTopic.set(topic, createHash('sha256').update(text).digest('hex').slice(0, 16));
  }
  return (partition) => {
    const hash = byTopic.get(partition.slice(0, partition.lastIndexOf('#')));
    invariant(hash !== undefined, 'a partition belongs to a stream of the configuration');
    return hash;
  };
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
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
  const owner = new Map<string, string>();
  for (const [index, { source, target }] of deriveMappings(file).entries()) {
    const path = ['services', service, 'tables', tables[index] as string];
    if ('redis' in file && file.tables[tables[index] as string] === null) {
      clashes.push({ path, message: `a Redis mapping needs a key template: { key: "${source.table}:{id}" }`, at: 'key' });
      continue;
    }
    const other = owner.get(target);
    owner.set(target, tableName(source));
    if (other === undefined) continue;
    const setting = 'postgres' in file ? 'to' : 'key';
    const message = `goes to ${target}, where ${other} goes already; give one of them another "${setting}"`;
    clashes.push({ path, message, at: 'key' });
  }
  return clashes;
}
