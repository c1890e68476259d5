import { describe, expect, test } from 'vitest';

import { postgresSchema } from '../../connectors/postgres/config.ts';
import { quote, quoteText, targetOf } from '../../connectors/postgres/identifiers.ts';

describe('how a Postgres is named', () => {
  test('a URL and the same spelled out', () => {
    const settings = { host: 'db', port: 6432, database: 'shop orders', user: 'me', password: 'p@ss/word', tls: true };
    expect(postgresSchema.parse('postgres://me:p%40ss%2Fword@db:6432/shop%20orders?sslmode=verify-full')).toEqual(settings);
    expect(postgresSchema.parse(settings)).toEqual(settings);
  });

  test('defaults: port 5432, no TLS, the user’s own database', () => {
    expect(postgresSchema.parse('postgresql://me@db')).toEqual({ host: 'db', port: 5432, database: 'me', user: 'me', tls: false });
    expect(postgresSchema.parse({ database: 'd', user: 'u' })).toEqual({
      host: 'localhost',
      port: 5432,
      database: 'd',
      user: 'u',
      tls: false,
    });
    expect(postgresSchema.parse('postgres://u@[::1]/d')).toMatchObject({ host: '::1' });
    expect(postgresSchema.parse('postgres://u@localhost/d?host=/var/run/postgresql')).toMatchObject({ host: '/var/run/postgresql' });
  });

  test('require verifies, as everybody believes it does', () => {
    expect(postgresSchema.parse('postgres://u@h/d?sslmode=require')).toMatchObject({ tls: true });
    expect(postgresSchema.parse('postgres://u@h/d?sslmode=no-verify')).toMatchObject({ tls: { verify: false } });
  });

  test.each([
    'mysql://u:secret@h/d',
    'postgres://u:secret@h/d?sslmode=prefer',
    'postgres://u:secret@h/d?bogus=1',
    'postgres://u:se%ZZcret@h/d',
    'secret',
  ])('G13: %s is refused without being repeated', (text) => {
    const result = postgresSchema.safeParse(text);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).not.toContain('secret');
  });

  test('an unknown key is refused', () => {
    expect(postgresSchema.safeParse({ database: 'd', user: 'u', prot: 1 }).success).toBe(false);
  });
});

describe('names', () => {
  const source = { database: 'shop', table: 'orders' };

  test.each([
    ['', { schema: 'public', table: 'orders' }],
    ['people', { schema: 'public', table: 'people' }],
    ['app.people', { schema: 'app', table: 'people' }],
    ['"my.schema"."my ""table"', { schema: 'my.schema', table: 'my "table' }],
  ])('target %s', (target, name) => {
    expect(targetOf({ source, target })).toEqual(name);
  });

  test('quotes and backslashes stay text', () => {
    expect(quote('a"b')).toBe('"a""b"');
    expect(quoteText("it's")).toBe("'it''s'");
    expect(quoteText("\\'")).toBe(" E'\\\\'''");
  });
});
