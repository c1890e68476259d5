/** What a person writes about a Redis target, and the settings that it becomes. */
import { z } from 'zod';
import { type Tls, tlsSchema } from '../../src/config-tls.ts';
import type { TableId, TableSchema } from '../../src/core/change.ts';
import { parseKeyTemplate } from './key-template.ts';

export interface RedisSettings {
  readonly host: string;
  readonly port: number;
  /** An ACL user; without one it is Redis's `default`. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** The number of the database. */
  readonly database: number;
  readonly tls: Tls;
}

const parts = z.strictObject({
  host: z.string().min(1).default('localhost').describe('host name or address'),
  port: z.int().min(1).max(65_535).default(6379),
  user: z.string().min(1).optional().describe('ACL user; without one it is the default user'),
  password: z.string().min(1).optional().describe('better as ${ENV} or ${file:/run/secrets/x}'),
  database: z.int().min(0).default(0).describe('number of the database'),
  tls: tlsSchema.default(false),
});

const url = z.string().transform((text, context): RedisSettings => {
  const settings = fromUrl(text);
  if (typeof settings !== 'string') return settings;
  // The text itself may hold a password: it is never part of the message.
  context.addIssue({ code: 'custom', message: settings });
  return z.NEVER;
});

/** What is spelled out goes before what the URL says. */
const urlWithMore = z
  .strictObject({ url, tls: tlsSchema.optional() })
  .transform(({ url, tls = url.tls }): RedisSettings => ({ ...url, tls }));

/** `redis://user:password@host:port/database`, `rediss://` for TLS with verification, `{ url: redis://…, tls }`, or the same as keys. */
export const redisSchema = z.union([url, urlWithMore, parts]);

/** The settings, or what is wrong with the URL. */
function fromUrl(text: string): RedisSettings | string {
  const parsed = URL.parse(text);
  if (!parsed || !/^rediss?:$/.test(parsed.protocol)) return 'must be redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS';
  if (!parsed.hostname) return 'the URL must name a host';
  if (!/^\/?\d*$/.test(parsed.pathname)) return 'what follows the host in the URL must be the number of a database';
  if (parsed.search || parsed.hash) return 'the URL takes no parameters; spell the settings out as keys instead';
  try {
    return {
      host: decodeURIComponent(parsed.hostname).replace(/^\[(.*)\]$/, '$1'),
      port: parsed.port === '' ? 6379 : Number(parsed.port),
      ...(parsed.username ? { user: decodeURIComponent(parsed.username) } : {}),
      ...(parsed.password ? { password: decodeURIComponent(parsed.password) } : {}),
      database: Number(parsed.pathname.slice(1)),
      tls: parsed.protocol === 'rediss:',
    };
  } catch {
    return 'a part of the URL is not percent-encoded correctly';
  }
}

/** A mapping's own keys beside the table's name: `{ shape: hash, key: "stock:{sku}" }`. */
export const redisMappingOptions = z.strictObject({
  shape: z.literal('hash').default('hash').describe('One hash a row; its fields are the columns that are not NULL.'),
  key: z
    .string()
    .superRefine((text, context) => {
      const template = parseKeyTemplate(text);
      if (typeof template === 'string') context.addIssue({ code: 'custom', message: template });
    })
    .describe('Key template: a column in braces stands for its percent-encoded value; a literal brace is doubled.'),
});

/** All that the configuration needs to know of this kind of target: see src/config-targets.ts. */
export const redisTarget = {
  about: '`redis://user:password@host:port/database`, or its parts spelled out.',
  settings: redisSchema,
  mapping: redisMappingOptions,
  naming: 'key',
  targetOf: ({ table }: TableId, options: Readonly<Record<string, unknown>>) =>
    typeof options['key'] === 'string' ? options['key'] : table,
  noQuarantine: 'a service in Redis halts at what it cannot write: only Postgres has a quarantine; leave this setting out',
  whenEmpty: ({ table }: TableId) => `a Redis mapping needs a key template: { key: "${table}:{id}" }`,
  starter: (schema: TableSchema) => `{ shape: hash, key: ${JSON.stringify(keyTemplateOf(schema))} }`,
  url: { pattern: /^rediss?:\/\//i, form: 'redis://HOST:PORT' },
};

/** `orders:{id}`; a brace in a name is doubled, as the template wants it. */
function keyTemplateOf({ table, key }: TableSchema): string {
  return [literal(table.table), ...key.map((column) => `{${literal(column)}}`)].join(':');
}
const literal = (text: string) => text.replaceAll('{', '{{').replaceAll('}', '}}');
