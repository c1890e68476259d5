/** The digest of what a service makes of its tables: progress that was made under another one is not of these rows. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { transformSchema } from '../transforms/all.ts';
import { invariant } from './core/assert.ts';
import { tableName } from './core/change.ts';
import { topicOf } from './core/partition.ts';
import type { PartitionId } from './core/log-port.ts';
import type { MappingConfig, Streams } from './config-derive.ts';
import { describeTarget, type TargetKind } from './config-targets.ts';

/** By partition, over the mappings whose tables are in it. */
export function mappingHashOf(
  kind: TargetKind,
  mappings: readonly MappingConfig[],
  routing: Streams['routing'],
): (partition: PartitionId) => string {
  const byTopic = new Map<string, string>();
  for (const topic of new Set([...routing.values()].map((stream) => stream.topic))) {
    const inTopic = mappings.filter(({ source }) => routing.get(tableName(source))?.topic === topic);
    const meanings = inTopic.map((mapping) => canonicalJson(meaningOf(kind, mapping)) ?? '').sort(byText);
    byTopic.set(topic, createHash('sha256').update(meanings.join('\n')).digest('hex').slice(0, 16));
  }
  return (partition) => {
    const hash = byTopic.get(topicOf(partition));
    invariant(hash !== undefined, 'a partition belongs to a stream of the configuration');
    return hash;
  };
}

/**
 * What differs from the defaults, so that an option that a later release adds does not stop the services that were there
 * before it; hence a default's meaning never changes. The order of the tables has no meaning, that of the transforms has.
 */
function meaningOf(kind: TargetKind, { source, target, transforms, options }: MappingConfig): unknown {
  const { mapping, naming, valueForms } = describeTarget(kind);
  // What becomes of values that the target cannot hold has no part in it either: under `stop` no such row was ever written.
  const forms = valueForms?.(options);
  const { [naming]: _, values: _values, ...own } = options;
  return {
    source: tableName(source),
    target,
    ...(transforms.length === 0 ? {} : { transforms: transforms.map((each) => withoutDefaults(transformSchema, each)) }),
    options: withoutDefaults(mapping, own),
    ...(forms === undefined ? {} : { forms }),
  };
}

/** The settings of an object, and of the objects within it, that say something else than leaving them out would. */
export function withoutDefaults(schema: z.core.$ZodType, value: unknown): unknown {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodPrefault
  )
    return withoutDefaults(schema.unwrap(), value);
  if (schema instanceof z.ZodArray && Array.isArray(value)) return value.map((each) => withoutDefaults(schema.element, each));
  if (!(schema instanceof z.ZodObject) || typeof value !== 'object' || value === null) return value;
  const settings = Object.entries(value).flatMap(([name, each]: [string, unknown]) => {
    const inner: z.core.$ZodType | undefined = schema.shape[name];
    if (!inner) return [[name, each] as const];
    const leftOut = z.safeParse(inner, undefined);
    return leftOut.success && canonicalJson(leftOut.data) === canonicalJson(each) ? [] : [[name, withoutDefaults(inner, each)] as const];
  });
  return Object.fromEntries(settings);
}

/** JSON with the names of every object in order; undefined for undefined. */
function canonicalJson(value: unknown): string | undefined {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => byText(a, b)))
      : inner,
  );
}

/** By code units: the same in every locale. */
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
