/** How a person names a Postgres server: a URL, or its parts spelled out. */
import { z } from 'zod';

export interface PostgresSettings {
  /** A host name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string | undefined;
  /** `verify-full` checks the certificate and the host name; `no-verify` encrypts without knowing to whom. */
  readonly tls: 'off' | 'no-verify' | 'verify-full';
  /** PEM text of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
}

const tlsModes = ['off', 'no-verify', 'verify-full'] as const;

const parts = z.strictObject({
  host: z.string().min(1).default('localhost').describe('host name, address, or folder of a Unix socket'),
  port: z.int().min(1).max(65_535).default(5432),
  database: z.string().min(1),
  user: z.string().min(1),
  password: z.string().optional().describe('better as ${ENV} or ${file:/run/secrets/x}'),
  tls: z.enum(tlsModes).default('off').describe('verify-full checks certificate and host name'),
  ca: z.string().optional().describe('PEM text of the authorities to trust instead of the system’s'),
});

const url = z.string().transform((text, context): PostgresSettings => {
  const settings = fromUrl(text);
  if (typeof settings !== 'string') return settings;
  // The text itself holds a password: it is never part of the message.
  context.addIssue({ code: 'custom', message: settings });
  return z.NEVER;
});

/** `postgres://user:password@host:port/database?sslmode=verify-full`, or the same as keys. */
export const postgresSchema = z.union([url, parts]);

/** What one table's mapping may say beyond `to` and `transforms`: nothing yet. */
export const postgresMappingOptions = z.strictObject({});

/** The settings, or what is wrong with the URL. */
function fromUrl(text: string): PostgresSettings | string {
  const parsed = URL.parse(text);
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol)) return 'must be postgres://USER:PASSWORD@HOST:PORT/DATABASE';
  const unknown = [...parsed.searchParams.keys()].find((name) => name !== 'sslmode' && name !== 'host');
  if (unknown !== undefined) return `the URL's parameter "${unknown}" is not known; sslmode and host are`;
  const tls = tlsOf(parsed.searchParams.get('sslmode'));
  if (!tls) return 'sslmode must be disable, no-verify or verify-full';
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
function tlsOf(mode: string | null): PostgresSettings['tls'] | undefined {
  if (mode === null || mode === 'disable') return 'off';
  if (mode === 'no-verify') return 'no-verify';
  return mode === 'require' || mode === 'verify-ca' || mode === 'verify-full' ? 'verify-full' : undefined;
}
