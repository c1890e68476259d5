/** What the configuration says of a Postgres: the server, as a URL or spelled out, and what becomes of values that it cannot hold. */
import { z } from 'zod';
import { type Tls, tlsSchema } from '../../src/config-tls.ts';
import type { TableId } from '../../src/core/change.ts';
import { daysInMonth } from './values-time.ts';

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

const orNull = ' In a key column it always stops, and NULL also where the column is NOT NULL.';

const policies = {
  nul: z
    .enum(['stop', 'strip', 'escape'])
    .describe(
      'A text, or a text inside JSON that goes to jsonb, with U+0000, which Postgres cannot hold: stop, leave the character out, or write \\u0000 (six characters) in its place. In a key column it always stops.',
    ),
  zeroDate: z
    .union([
      z.enum(['stop', 'null']),
      z.null(),
      z.string().refine(isSentinel, 'must be stop, null, a date such as "0001-01-01", or "-infinity"'),
    ])
    .describe(
      `A date that Postgres does not have (zero, with a zero part, of the year 0, or beyond the end of its month): stop, write NULL, or write this date or \`-infinity\` instead.${orNull}`,
    ),
  timeRange: z
    .union([z.enum(['stop', 'null']), z.null()])
    .describe(`A TIME that a \`time\` column cannot hold (negative, or beyond a day): stop, or write NULL.${orNull}`),
  geometry: z
    .enum(['ewkb', 'wkb'])
    .describe(
      'The form of a geometry: EWKB, which is WKB with the SRID inside where there is one, or WKB without it; in a column of PostGIS it then takes the SRID of the column.',
    ),
};

const ofColumn = z.strictObject({
  nul: policies.nul.optional(),
  zeroDate: policies.zeroDate.optional(),
  timeRange: policies.timeRange.optional(),
  geometry: policies.geometry.optional(),
});

export const valuesSchema = z.strictObject({
  nul: policies.nul.default('stop'),
  zeroDate: policies.zeroDate.default('stop'),
  timeRange: policies.timeRange.default('stop'),
  geometry: policies.geometry.default('ewkb'),
  columns: z
    .record(z.string().min(1), ofColumn)
    .default({})
    .describe('The same for single columns, by their names in the target; what is not said here is as above.'),
});

/** What is done to the values of one column; `null` of the file is spelled out. */
export interface ColumnPolicies {
  readonly nul: 'stop' | 'strip' | 'escape';
  /** `stop`, `null`, or what is written instead. */
  readonly zeroDate: string;
  readonly timeRange: 'stop' | 'null';
  readonly geometry: 'ewkb' | 'wkb';
}

export interface ValuePolicies {
  of(column: string): ColumnPolicies;
  /** What is said for this column alone. */
  own(column: string): readonly (keyof ColumnPolicies)[];
  /** The columns that are named, whether they exist or not. */
  readonly named: readonly string[];
}

/** Of a mapping's options; exact or stop where nothing is said. */
export function valuePolicies(options: Readonly<Record<string, unknown>>): ValuePolicies {
  const { columns, ...table } = valuesSchema.parse(options['values'] ?? {});
  return {
    of(column) {
      const own = Object.hasOwn(columns, column) ? columns[column] : undefined;
      return {
        nul: own?.nul ?? table.nul,
        zeroDate: spelled(own?.zeroDate, table.zeroDate),
        timeRange: spelled(own?.timeRange, table.timeRange),
        geometry: own?.geometry ?? table.geometry,
      };
    },
    own: (column) => Object.keys((Object.hasOwn(columns, column) ? columns[column] : undefined) ?? {}) as (keyof ColumnPolicies)[],
    named: Object.keys(columns),
  };
}

/** What of it changes also values that stopped nothing, so that rows of before and after differ; undefined where it is the default. */
function valueForms(options: Readonly<Record<string, unknown>>): unknown {
  const { geometry, columns } = valuesSchema.parse(options['values'] ?? {});
  const own = Object.entries(columns).flatMap(([name, { geometry: form }]) =>
    form === undefined || form === geometry ? [] : [[name, form]],
  );
  return geometry === 'ewkb' && own.length === 0 ? undefined : { geometry, columns: Object.fromEntries(own) as unknown };
}

/** YAML's `null` is a word here: NULL is written. */
function spelled<T extends string>(own: T | null | undefined, table: T | null): T | 'null' {
  return (own === undefined ? table : own) ?? 'null';
}

function isSentinel(text: string): boolean {
  if (text === '-infinity' || text === 'infinity') return true;
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  if (!parts) return false;
  const [year, month, day] = parts.slice(1).map(Number) as [number, number, number];
  return year > 0 && day > 0 && day <= daysInMonth(year, month);
}

const mapping = z.strictObject({
  to: z
    .string()
    .min(1)
    .optional()
    .describe('The table in the target as `schema.table`. Without it: the same name as in the source, in the schema `public`.'),
  values: valuesSchema
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
  valueForms,
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
