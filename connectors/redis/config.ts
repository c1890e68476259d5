/** What a person writes about a Redis target, and the settings that it becomes. */
import { z } from 'zod';
import { parseKeyTemplate } from './key-template.ts';

export interface RedisSettings {
  readonly host: string;
  readonly port: number;
  /** An ACL user; without one it is Redis's `default`. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** The number of the database. */
  readonly database: number;
  /** `verify-full` checks the certificate and the host name; `no-verify` encrypts without knowing to whom. */
  readonly tls: 'off' | 'no-verify' | 'verify-full';
  /** PEM text of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
}

const parts = z.strictObject({
  host: z.string().min(1).default('localhost').describe('host name or address'),
  port: z.int().min(1).max(65_535).default(6379),
  user: z.string().min(1).optional().describe('ACL user; without one it is the default user'),
  password: z.string().min(1).optional().describe('better as ${ENV} or ${file:/run/secrets/x}'),
  database: z.int().min(0).default(0).describe('number of the database'),
  tls: z.enum(['off', 'no-verify', 'verify-full']).default('off').describe('verify-full checks certificate and host name'),
  ca: z.string().min(1).optional().describe('PEM text of the authorities to trust instead of the system’s'),
});

const url = z.string().transform((text, context): RedisSettings => {
  const settings = fromUrl(text);
  if (typeof settings !== 'string') return settings;
  // The text itself may hold a password: it is never part of the message.
  context.addIssue({ code: 'custom', message: settings });
  return z.NEVER;
});

/** `redis://user:password@host:port/database`, `rediss://` for TLS with verification, or the same as keys. */
export const redisSchema = z.union([url, parts]);

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
      tls: parsed.protocol === 'rediss:' ? 'verify-full' : 'off',
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
