/** The shape of the configuration file: each connector's and transform's own schema, put together in one place. */
import { z } from 'zod';
import { mysqlSchema } from '../connectors/mysql/config.ts';
import { type TransformConfig, transformSchema } from '../transforms/all.ts';
import { parseTableName } from './core/change.ts';
import type { PoisonPolicy } from './core/quarantine-port.ts';
import { httpSchema, type LagFile, lagSchema } from './config-health.ts';
import { logSchema } from './config-log.ts';
import type { SchemaNode } from './config-problems.ts';
import { describeTarget, type Target, type TargetKind, targetKinds } from './config-targets.ts';

const tableSchema = z
  .string()
  .refine(
    (text) => parseTableName(text) !== undefined,
    'must be a table of the source as database.table (a name with a dot in backquotes)',
  );

const columnsSchema = z.array(z.string().min(1)).min(1);

const transformsSchema = z
  .array(transformSchema)
  .default([])
  .describe('What happens to each change on its way, in this order. See the transforms below.');

/** One mapping as the file says it: `transforms`, and the settings of the target's own kind. */
interface MappingFile {
  readonly transforms: readonly TransformConfig[];
  readonly [option: string]: unknown;
}
export interface ServiceFile {
  readonly target: Target;
  /** By `database.table`; null where nothing stands behind the colon. */
  readonly tables: Readonly<Record<string, MappingFile | null>>;
  readonly lag?: LagFile;
  readonly onPoison: PoisonPolicy;
}

/** `{ postgres: …, tables: … }` becomes the target with its kind, and the tables. */
const onPoisonSchema = z
  .enum(['halt', 'quarantine'])
  .default('halt')
  .describe(
    'What becomes of a change that the target can never take as it is (a value that does not fit, a constraint that no other change satisfies): `halt` stops the service there; `quarantine` puts it aside in the target, later changes of its key wait behind it, and everything else goes on. See `crossfade quarantine`. Postgres only.',
  );

function serviceForm(kind: TargetKind) {
  const { about, settings, mapping } = describeTarget(kind);
  const tables = z
    .record(tableSchema, mapping.extend({ transforms: transformsSchema }).nullable())
    .describe('The tables of the source that this service gets, by `database.table`; nothing behind the colon means the defaults.');
  return z
    .strictObject({
      [kind]: settings.describe(about),
      tables,
      lag: lagSchema.describe('Of this service, instead of what stands under `lag` for all.'),
      onPoison: onPoisonSchema,
    })
    .transform(
      (file) =>
        ({ target: { kind, settings: file[kind] }, tables: file['tables'], lag: file['lag'], onPoison: file['onPoison'] }) as ServiceFile,
    );
}

const serviceSchema = z.union(targetKinds.map(serviceForm));

const sourceSchema = z.strictObject({
  mysql: mysqlSchema.describe(
    'MySQL or MariaDB: `mysql://user:password@host:port`, or the same with `mariadb://`, or its parts spelled out.',
  ),
  keys: z
    .record(tableSchema, columnsSchema)
    .default({})
    .describe('For tables without a primary key and without a unique key on NOT NULL columns: the columns that tell their rows apart.'),
});

/** Topics that are ours, and so no stream's name. */
const reservedStreams = ['control', 'notes', 'requests', 'quarantine'];

const streamSchema = z.strictObject({
  tables: z.array(tableSchema).min(1).describe('Tables of the source whose changes share one order.'),
  partitions: z
    .int()
    .min(1)
    .max(1024)
    .default(1)
    .describe(
      'How many parts the stream has, each in its own order; rows are spread by key. It cannot be changed later without a new log.',
    ),
});

export const fileSchema = z.strictObject({
  pipeline: z
    .string()
    .regex(
      /^[a-z][a-z0-9_-]{0,62}$/,
      'must begin with a letter and hold only a-z, 0-9, - and _ (63 at most): it names the topics in the log',
    )
    .describe('The name of the pipeline. It stands in front of every topic in the log and cannot be changed later.'),
  source: sourceSchema.describe('Where changes come from.'),
  log: logSchema,
  services: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a service has a name of a-z, 0-9 and - (63 at most)'), serviceSchema)
    .prefault({})
    .describe('Where changes go: each service is one Postgres or Redis with its tables.'),
  streams: z
    .record(
      z
        .string()
        .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'a stream has a name of a-z, 0-9, - and _ (63 at most)')
        .refine((name) => !reservedStreams.includes(name), 'this name is taken by Crossfade itself; give the stream another one'),
      streamSchema,
    )
    .default({})
    .describe('Tables that share one order, or one table in several partitions. A table that is not named here is a stream of its own.'),
  lag: lagSchema.describe('How late the targets may be, and who is told when they are later; for every service that says nothing else.'),
  http: httpSchema,
});

export type ConfigFile = z.infer<typeof fileSchema>;

/** For editors: `crossfade config schema`. Describes what a person writes, before defaults are put in. */
export function jsonSchema(): SchemaNode {
  return z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;
}
