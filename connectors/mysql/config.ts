/** The configuration of a MySQL source: a URL, or its parts spelled out. */
import { z } from 'zod';
import { tlsSchema } from '../../src/config-tls.ts';
import { parseExecuted } from './position/executed.ts';

/** Of which flavor the server is shows itself when it is asked; '' is the beginning for both. */
function isExecuted(text: string): boolean {
  return (['mysql', 'mariadb'] as const).some((flavor) => {
    try {
      parseExecuted(text, flavor);
      return true;
    } catch {
      return false;
    }
  });
}

const start = z
  .union([
    z.strictObject({
      gtid: z
        .string()
        .refine(isExecuted, 'expected a GTID set (uuid:1-5,…), or of MariaDB a GTID position (0-1-12345,…)')
        .describe('Executed GTID set, or of MariaDB the GTID position: everything that is not in it is read.'),
    }),
    z.strictObject({ file: z.string().regex(/\.\d+$/, 'a binlog file looks like binlog.000042'), offset: z.int().min(4) }),
  ])
  .describe('Where a new pipeline starts; without it at the end of the binlog as it is then.');

const parts = z.strictObject({
  host: z.string().min(1),
  port: z.int().min(1).max(65535).default(3306),
  user: z.string().min(1),
  password: z.string().default(''),
  tls: tlsSchema.default(false),
  start: start.optional(),
  serverId: z
    .int()
    .min(1)
    .max(4294967295)
    .optional()
    .describe('Replica id; unique among all readers of the server. Without it a random one.'),
  heartbeatSeconds: z
    .number()
    .min(0.1)
    .max(60)
    .default(2)
    .describe('So often an idle server says that it is there; three missed ones end the connection.'),
  maxRowBytes: z
    .int()
    .min(1024)
    // An update holds it twice, and the embedded log keeps at most a billion bytes in one place.
    .max(256 * 1024 ** 2)
    .default(64 * 1024 ** 2)
    .describe('The largest row, in bytes of its JSON text before or after a change. A larger one stops capture in front of it.'),
});

export interface MysqlSettings extends z.output<typeof parts> {}

/** A delimiter in front of the last @ is one of the password, as it was typed. */
const bareDelimiter = /^[^:]+:\/\/[^@/?#]*:[^/?#]*[/?#].*@/;

const url = z.string().transform((text, context): z.input<typeof parts> => {
  if (bareDelimiter.test(text)) {
    const message =
      'user or password hold a / ? or # that ends them: percent-encode it (/ is %2F, ? %3F, # %23, @ %40), or name a variable there (${MYSQL_PASSWORD}), which holds the password as it is';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }
  const parsed = URL.parse(text);
  if (!parsed || !['mysql:', 'mariadb:'].includes(parsed.protocol) || parsed.hostname === '') {
    context.addIssue({ code: 'custom', message: 'expected mysql://user:password@host:port' });
    return z.NEVER;
  }
  if ((parsed.pathname !== '' && parsed.pathname !== '/') || parsed.search !== '' || parsed.hash !== '') {
    context.addIssue({ code: 'custom', message: 'a MySQL URL ends behind host and port; spell out "url", "tls" and "start" for more' });
    return z.NEVER;
  }
  try {
    return {
      host: parsed.hostname.replace(/^\[|\]$/g, ''),
      port: parsed.port === '' ? 3306 : Number(parsed.port),
      user: decodeURIComponent(parsed.username) || 'root',
      password: decodeURIComponent(parsed.password),
    };
  } catch {
    context.addIssue({
      code: 'custom',
      message: 'a % in the URL is not followed by two hexadecimal digits; in a password write it as %25',
    });
    return z.NEVER;
  }
});

const urlWithMore = z
  .strictObject({ url, ...parts.omit({ host: true, port: true, user: true, password: true }).partial().shape })
  .transform(({ url, ...more }) => ({ ...url, ...more }));

/** Accepts `mysql://…`, `{ url: mysql://…, tls, start, … }`, or `{ host, user, password, … }`; answers MysqlSettings. */
export const mysqlSchema = z.union([url, urlWithMore, parts]).pipe(parts);
