/** How a person names a Postgres server: a URL, or its parts spelled out. */
import { z } from 'zod';
import { type Tls, tlsSchema } from '../../src/config-tls.ts';
import type { TableId } from '../../src/core/change.ts';

export interface PostgresSettings {
  /** A host name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string | undefined;
  readonly tls: Tls;
}

const parts = z.strictObject({
  host: z.string().min(1).default('localhost').describe('host name, address, or folder of a Unix socket'),
  port: z.int().min(1).max(65_535).default(5432),
  database: z.string().min(1),
  user: z.string().min(1),
  password: z.string().optional().describe('better as ${ENV} or ${file:/run/secrets/x}'),
  tls: tlsSchema.default(false),
});

const url = z.string().transform((text, context): PostgresSettings => {
  const settings = fromUrl(text);
  if (typeof settings !== 'string') return settings;
  // The text itself holds a password: it is never part of the message.
  context.addIssue({ code: 'custom', message: settings });
  return z.NEVER;
});

/** What is spelled out goes before what the URL says. */
const urlWithMore = z
  .strictObject({ url, tls: tlsSchema.optional() })
  .transform(({ url, tls = url.tls }): PostgresSettings => ({ ...url, tls }));

/** `postgres://user:password@host:port/database?sslmode=verify-full`, `{ url: postgres://…, tls }`, or the same as keys. */
export const postgresSchema = z.union([url, urlWithMore, parts]);

const values = z.strictObject({
  nul: z
    .enum(['stop', 'strip', 'escape'])
    .default('stop')
    .describe(
      'A text with U+0000, which Postgres cannot hold: stop, leave the character out, or write \\u0000 (six characters) in its place. In a key column it always stops.',
    ),
  zeroDate: z
    .enum(['stop', 'null'])
    .default('stop')
    .describe('A date that is zero or has a zero part: stop, or write NULL. In a key column or one that is NOT NULL it always stops.'),
});

/** What a mapping's configuration says about values that Postgres cannot hold. */
export interface ValuePolicies extends z.output<typeof values> {}

/** Of a mapping's options; all `stop` where nothing is said. */
export const valuePolicies = (options: Readonly<Record<string, unknown>>): ValuePolicies => values.parse(options['values'] ?? {});

const mapping = z.strictObject({
  to: z
    .string()
    .min(1)
    .optional()
    .describe('The table in the target as `schema.table`. Without it: the same name as in the source, in the schema `public`.'),
  values: values
    .prefault({})
    .describe('What becomes of values that Postgres cannot hold. A change of it holds for what is applied from then on.'),
});

/** All that the configuration needs to know of this kind of target: see src/config-targets.ts. */
export const postgresTarget = {
  about: '`postgres://user:password@host:port/database`, or its parts spelled out.',
  settings: postgresSchema,
  mapping,
  naming: 'to',
  targetOf({ table }: TableId, options: Readonly<Record<string, unknown>>): string {
    if (typeof options['to'] === 'string') return options['to'];
    return `public.${/^[^".]+$/.test(table) ? table : `"${table.replaceAll('"', '""')}"`}`;
  },
  whenEmpty: () => undefined,
  starter: () => '',
  url: { pattern: /^postgres(ql)?:\/\//i, form: 'postgres://USER@HOST/DATABASE' },
};

/** The settings, or what is wrong with the URL. */
function fromUrl(text: string): PostgresSettings | string {
  const parsed = URL.parse(text);
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol)) return 'must be postgres://USER:PASSWORD@HOST:PORT/DATABASE';
  const unknown = [...parsed.searchParams.keys()].find((name) => name !== 'sslmode' && name !== 'host');
  if (unknown !== undefined) return `the URL's parameter "${unknown}" is not known; sslmode and host are`;
  const tls = tlsOf(parsed.searchParams.get('sslmode'));
  if (tls === undefined) return 'sslmode must be disable, no-verify or verify-full';
  try {
    const user = decodeURIComponent(parsed.username);
    const database = decodeURIComponent(parsed.pathname.slice(1)) || user;
    if (user === '' || database === '') return 'the URL must name a user and a database';
    const password = decodeURIComponent(parsed.password);
    const host = parsed.searchParams.get('host') ?? (decodeURIComponent(parsed.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost');
    return { host, port: parsed.port === '' ? 5432 : Number(parsed.port), database, user, tls, ...(password === '' ? {} : { password }) };
  } catch {
    return 'a part of the URL is not percent-encoded correctly';
  }
}

/** libpq's `require` encrypts without checking anything; nobody who writes it means that, so it verifies here. */
function tlsOf(mode: string | null): Tls | undefined {
  if (mode === null || mode === 'disable') return false;
  if (mode === 'no-verify') return { verify: false };
  return mode === 'require' || mode === 'verify-ca' || mode === 'verify-full' ? true : undefined;
}
