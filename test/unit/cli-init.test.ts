import { assert, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endsEarly, maskUrl, plainName, starterText, withoutDatabase } from '../../src/commands/init-file.ts';
import { parseConfig } from '../../src/config.ts';
import type { TableSchema } from '../../src/core/change.ts';
import { anyCharacter } from '../support/any-character.ts';

const schema = (table: string, key: string[]): TableSchema => ({ id: 'x', table: { database: 'my shop', table }, columns: [], key });
const found = {
  pipeline: 'shop',
  sourceUrl: 'mysql://root:${MYSQL_PASSWORD}@db:3306',
  refused: [{ table: { database: 'my shop', table: 'log' }, why: 'it has no key' }],
};

describe('the starter file', () => {
  test('is a configuration, whatever the tables are called', () => {
    const tables = [schema('orders', ['id']), schema('a.b', ['x', 'y']), schema('we: "ird"', ['{id}'])];
    for (const [kind, url] of [
      ['redis', 'redis://h:6379'],
      ['postgres', 'postgres://u@h/d'],
    ] as const) {
      const text = starterText({ ...found, tables, service: { name: 's', kind, url, example: false } });
      const reading = parseConfig(text, '/etc/shop.yaml', { environment: { MYSQL_PASSWORD: 'x' }, readSecret: () => undefined });
      expect('problems' in reading ? reading.problems : []).toEqual([]);
      expect('config' in reading ? reading.config.tables.map(({ table }) => table) : []).toEqual(['orders', 'a.b', 'we: "ird"']);
      expect(text).toContain('# my shop.log: it has no key');
    }
  });

  test.each(['mysql', 'mariadb'])('the source stays a %s one, without its database', (scheme) => {
    const sourceUrl = withoutDatabase(`${scheme}://u:\${MYSQL_PASSWORD}@h:3306/shop`);
    expect(sourceUrl).toBe(`${scheme}://u:\${MYSQL_PASSWORD}@h:3306`);
    const service = { name: 's', kind: 'redis', url: 'redis://h:6379', example: false } as const;
    const text = starterText({ ...found, sourceUrl, tables: [schema('orders', ['id'])], service });
    expect(text).not.toContain('MySQL');
    const reading = parseConfig(text, '/etc/shop.yaml', { environment: { MYSQL_PASSWORD: 'x' }, readSecret: () => undefined });
    expect('config' in reading ? reading.config.source.settings.host : reading.problems).toBe('h');
  });

  test('a name for topics comes out of any name of a database', () => {
    expect(['Shop_2', '42', 'täst.db', '', '--'].map((name) => plainName(name, 'crossfade'))).toEqual([
      'shop-2',
      'crossfade',
      't-st-db',
      'crossfade',
      'crossfade',
    ]);
  });
});

test.each([
  ['mysql://u:p@ss:w/rd#1@host:3306/db', true],
  ['mysql://u:p@ss#x@host', true],
  ['postgres://u:a?b@h/d', true],
  ['mysql://u:p@ss:w@host:3306/db', false],
  ['mysql://u:p%2F%23@host/db?x=1#y', false],
  ['mysql://u@h/db', false],
  ['mysql://h:3306/a', false],
  ['mysql://u:${file:/run/secrets/m}@h/db', false],
])('a delimiter of the password that was not encoded is seen: %s', (url, is) => expect(endsEarly(url)).toBe(is));

describe('G13: the password leaves the URL', () => {
  test.each([
    ['mysql://root@h:3306/shop', 'mysql://root@h:3306/shop', undefined],
    ['mysql://root:pw@h:3306/shop', 'mysql://root:${PW}@h:3306/shop', 'pw'],
    ['mysql://root:p$w@h', 'mysql://root:${PW}@h', 'p$w'],
    ['mysql://root:p@w:x@h', 'mysql://root:${PW}@h', 'p@w:x'],
    ['redis://:p%40w@h', 'redis://:${PW}@h', 'p@w'],
    ['redis://:50%@h', 'redis://:${PW}@h', '50%'],
    ['mysql://root:${MINE}@h', 'mysql://root:${MINE}@h', undefined],
  ])('%s', (url, masked, password) => {
    expect(maskUrl(url, 'PW')?.url).toBe(masked);
    expect(maskUrl(url, 'PW')?.password).toBe(password);
  });

  test('and comes back as it was', () => {
    assert(
      property(string({ unit: anyCharacter, minLength: 1, maxLength: 20 }), (password) => {
        const masked = maskUrl(`mysql://root:${encodeURIComponent(password)}@h:3306`, 'PW');
        expect(masked?.url).toBe('mysql://root:${PW}@h:3306');
        expect(masked?.password).toBe(password);
      }),
    );
  });
});
