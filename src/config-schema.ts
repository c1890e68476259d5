/** The shape of the configuration file: each connector's and transform's own schema, put together in one place. */
import { z } from 'zod';
import { mysqlSchema } from '../connectors/mysql/config.ts';
import { postgresMappingOptions, postgresSchema } from '../connectors/postgres/config.ts';
import { redisMappingOptions, redisSchema } from '../connectors/redis/config.ts';
import { embeddedSchema } from '../connectors/sqlite/config.ts';
import { transformSchema } from '../transforms/all.ts';
import { parseTableName } from './core/change.ts';
import type { SchemaNode } from './config-problems.ts';

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

const postgresMapping = postgresMappingOptions.extend({
  to: z
    .string()
    .min(1)
    .optional()
    .describe('The table in the target as `schema.table`. Without it: the same name as in the source, in the schema `public`.'),
  transforms: transformsSchema,
});
const postgresTables = z.record(tableSchema, postgresMapping.nullable());
const redisTables = z.record(tableSchema, redisMappingOptions.extend({ transforms: transformsSchema }).nullable());

const tablesText = 'The tables of the source that this service gets, by `database.table`; nothing behind the colon means the defaults.';

const serviceSchema = z.union([
  z.strictObject({
    postgres: postgresSchema.describe('`postgres://user:password@host:port/database`, or its parts spelled out.'),
    tables: postgresTables.describe(tablesText),
  }),
  z.strictObject({
    redis: redisSchema.describe('`redis://user:password@host:port/database`, or its parts spelled out.'),
    tables: redisTables.describe(tablesText),
  }),
]);

const sourceSchema = z.strictObject({
  mysql: mysqlSchema.describe('MySQL or MariaDB: `mysql://user:password@host:port`, or its parts spelled out.'),
  keys: z
    .record(tableSchema, columnsSchema)
    .default({})
    .describe('For tables without a primary key and without a unique key on NOT NULL columns: the columns that tell their rows apart.'),
});

/** Topics that are ours, and so no stream's name. */
const reservedStreams = ['control', 'requests', 'quarantine'];

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
  log: z
    .union([z.literal('embedded'), z.strictObject({ embedded: embeddedSchema })])
    .default('embedded')
    .describe('Where changes are kept between source and services: `embedded` is one SQLite file on this machine.'),
  services: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a service has a name of a-z, 0-9 and - (63 at most)'), serviceSchema)
    .default({})
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
});

export type ConfigFile = z.infer<typeof fileSchema>;
export type ServiceFile = ConfigFile['services'][string];

/** For editors: `crossfade config schema`. Describes what a person writes, before defaults are put in. */
export function jsonSchema(): SchemaNode {
  return z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;
}
