import { describe, expect, test } from 'vitest';

import { postgresSchema, valuePolicies, valuesSchema } from '../../connectors/postgres/config.ts';
import { isTooLong, quote, quoteText, shortened, targetOf } from '../../connectors/postgres/identifiers.ts';
import { readYaml } from '../../src/config-yaml.ts';

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

describe('what becomes of odd values', () => {
  const yaml = (text: string) => {
    const reading = readYaml(text);
    return 'file' in reading ? reading.file.data : reading.problems;
  };

  test('exact or stop, where nothing is said', () => {
    const exact = { nul: 'stop', zeroDate: 'stop', timeRange: 'stop', geometry: 'ewkb' };
    expect(valuePolicies({}).of('any')).toEqual(exact);
    expect(valuePolicies({ values: {} }).of('__proto__')).toEqual(exact);
    expect(valuePolicies({ values: {} }).named).toEqual([]);
  });

  test('a column’s own go before the table’s; a bare null of YAML is the word', () => {
    const values = valuesSchema.parse(
      yaml('{ nul: strip, zeroDate: null, columns: { born: { zeroDate: 0001-01-01 }, shift: { timeRange: null, zeroDate: stop } } }'),
    );
    const policies = valuePolicies({ values });
    expect(policies.of('other')).toMatchObject({ nul: 'strip', zeroDate: 'null', timeRange: 'stop' });
    expect(policies.of('born')).toMatchObject({ nul: 'strip', zeroDate: '0001-01-01' });
    expect(policies.of('shift')).toMatchObject({ nul: 'strip', zeroDate: 'stop', timeRange: 'null' });
    expect(policies.named).toEqual(['born', 'shift']);
  });

  test.each(['0000-00-00', '2026-02-30', '2026-1-1', '0000-01-01', '2023-02-29', 'yesterday', '2026-13-01', '2026-01-00', ''])(
    'the sentinel "%s" is no date',
    (zeroDate) => {
      expect(valuesSchema.safeParse({ zeroDate }).success).toBe(false);
    },
  );

  test.each(['stop', 'null', null, '0001-01-01', '9999-12-31', '2024-02-29', '-infinity', 'infinity'])('zeroDate: %s', (zeroDate) => {
    expect(valuesSchema.safeParse({ zeroDate }).success).toBe(true);
  });

  test('unknown settings are refused, for the table and for a column', () => {
    expect(valuesSchema.safeParse({ zerodate: null }).success).toBe(false);
    expect(valuesSchema.safeParse({ columns: { a: { nil: 'strip' } } }).success).toBe(false);
    expect(valuesSchema.safeParse({ columns: { a: 'strip' } }).success).toBe(false);
  });
});

test('names of over 63 bytes are too long, and are shortened by whole characters', () => {
  expect([isTooLong('x'.repeat(63)), isTooLong('x'.repeat(64)), isTooLong('ä'.repeat(32))]).toEqual([false, true, true]);
  expect(shortened('ä'.repeat(40))).toBe('ä'.repeat(31));
  expect(shortened('😀'.repeat(20))).toBe('😀'.repeat(15));
});
