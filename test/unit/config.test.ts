import { resolve } from 'node:path';
import { assert, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Config, parseConfig, problemText } from '../../src/config.ts';
import { anyCharacter } from '../support/any-character.ts';

const path = resolve('/etc/crossfade/shop.yaml');

function read(text: string, environment: Record<string, string> = {}, files: Record<string, string> = {}) {
  return parseConfig(text, path, { environment, readSecret: (name) => files[name] });
}
function good(text: string, environment: Record<string, string> = {}, files: Record<string, string> = {}): Config {
  const reading = read(text, environment, files);
  if ('problems' in reading) throw new Error(reading.problems.map((problem) => problemText(path, problem)).join('\n'));
  return reading.config;
}
function problems(text: string, environment: Record<string, string> = {}): string[] {
  const reading = read(text, environment);
  return 'problems' in reading ? reading.problems.map((problem) => problemText(path, problem)) : [];
}

const head = 'pipeline: shop\nsource: { mysql: mysql://app:pw@db.internal:3306 }\n';
const shop = `
pipeline: shop
source:
  mysql: mysql://crossfade:\${MYSQL_PASSWORD}@db.internal:3306
log: embedded
services:
  orders:
    postgres: postgres://crossfade:\${ORDERS_PASSWORD}@orders.internal/orders
    tables:
      shop.orders:
      shop.customers: { to: public.people, transforms: [ { rename: { full_name: name } } ] }
  storefront:
    redis: redis://cache.internal:6379
    tables:
      shop.stock: { shape: hash, key: "stock:{sku}" }
`;
const secrets = { MYSQL_PASSWORD: 'a', ORDERS_PASSWORD: 'b' };

describe('the file that a person writes', () => {
  test('the example of the architecture becomes streams, mappings and defaults', () => {
    const config = good(shop, secrets);
    expect(config.pipeline).toBe('shop');
    expect(config.log.name).toBe(resolve('/etc/crossfade/shop.crossfade.db'));
    expect(config.tables.map(({ table }) => table)).toEqual(['orders', 'customers', 'stock']);
    expect(config.streams.map(({ topic, partitions }) => `${topic}×${partitions}`)).toEqual([
      'shop.shop.orders×1',
      'shop.shop.customers×1',
      'shop.shop.stock×1',
    ]);
    const [orders, storefront] = config.services;
    expect(orders?.mappings.map(({ target }) => target)).toEqual(['public.orders', 'public.people']);
    expect(orders?.mappings[1]?.transforms).toEqual([{ rename: { full_name: 'name' } }]);
    expect(orders?.streams.map(({ topic }) => topic)).toEqual(['shop.shop.orders', 'shop.shop.customers']);
    expect(storefront?.target.kind).toBe('redis');
    expect(storefront?.mappings[0]?.target).toBe('stock:{sku}');
  });

  test('tables of one stream share its topic, and a table that nobody maps is captured with them', () => {
    const config = good(`${shop}streams: { money: { tables: [shop.orders, shop.payments], partitions: 3 } }\n`, secrets);
    expect(config.routing.get('shop.orders')).toBe(config.routing.get('shop.payments'));
    expect(config.routing.get('shop.orders')).toEqual({ topic: 'shop.money', partitions: 3 });
    expect(config.tables.map(({ table }) => table)).toContain('payments');
    expect(config.services[0]?.streams.map(({ topic }) => topic)).toEqual(['shop.money', 'shop.shop.customers']);
  });

  test("the log's path is taken from the file's own folder", () => {
    expect(
      good(`${head}log: { embedded: { path: data/log.db } }\nservices: { s: { redis: redis://h, tables: { a.b: { key: "b:{id}" } } } }`).log
        .name,
    ).toBe(resolve('/etc/crossfade/data/log.db'));
  });

  test('a mapping hash changes with the mappings of its own partition only', () => {
    const before = good(shop, secrets).services[0];
    const after = good(shop.replace('full_name: name', 'full_name: title'), secrets).services[0];
    expect(after?.mappingHash('shop.shop.orders#0')).toBe(before?.mappingHash('shop.shop.orders#0'));
    expect(after?.mappingHash('shop.shop.customers#0')).not.toBe(before?.mappingHash('shop.shop.customers#0'));
    const reordered = good(
      shop.replace(
        'to: public.people, transforms: [ { rename: { full_name: name } } ]',
        'transforms: [ { rename: { full_name: name } } ], to: public.people',
      ),
      secrets,
    );
    expect(reordered.services[0]?.mappingHash('shop.shop.customers#0')).toBe(before?.mappingHash('shop.shop.customers#0'));
  });

  test('keys for tables that have none', () => {
    const config = good(shop.replace('log: embedded', '  keys: { shop.orders: [day, number] }\nlog: embedded'), secrets);
    expect([...config.keys]).toEqual([['shop.orders', ['day', 'number']]]);
  });
});

describe('variables', () => {
  test('any password survives the way through a URL', () => {
    assert(
      property(string({ unit: anyCharacter, minLength: 1, maxLength: 20 }), (password) => {
        const config = good(shop, { MYSQL_PASSWORD: password, ORDERS_PASSWORD: password });
        expect(config.source.settings.password).toBe(password);
        expect(config.services[0]?.target.settings.password).toBe(password);
      }),
    );
  });

  test('${file:…} gives the content without its last line break, spelled out or in a URL', () => {
    const text = shop.replace('${MYSQL_PASSWORD}', '${file:/run/secrets/mysql}');
    const config = good(text, secrets, { '/run/secrets/mysql': 'p@ss/word\n' });
    expect(config.source.settings.password).toBe('p@ss/word');
  });

  test('a variable may be a whole URL, a host, or a number', () => {
    const text = `pipeline: shop\nsource: { mysql: "\${URL}" }\nservices: { s: { redis: { host: "\${HOST}", port: "\${PORT}" }, tables: { a.b: { key: "b:{id}" } } } }`;
    const config = good(text, { URL: 'mysql://u:p%40@h:3307', HOST: 'cache', PORT: '7000' });
    expect(config.source.settings).toMatchObject({ host: 'h', port: 3307, user: 'u', password: 'p@' });
    expect(config.services[0]?.target.settings).toMatchObject({ host: 'cache', port: 7000 });
  });

  test('a password of digits stays a text', () => {
    const text = `pipeline: shop\nsource: { mysql: { host: h, user: u, password: "\${PW}" } }\nstreams: { s: { tables: [a.b] } }`;
    expect(good(text, { PW: '0012' }).source.settings.password).toBe('0012');
  });

  test('a missing variable is named with its place, once', () => {
    expect(problems(shop, { ORDERS_PASSWORD: 'b' })).toEqual([
      'shop.yaml:4:10 source.mysql: the environment variable MYSQL_PASSWORD is not set',
    ]);
  });

  test('G13: no problem ever quotes a value', () => {
    const secret = 'hunter2-secret';
    const texts = [
      `pipeline: ${secret}!\nsource: { mysql: "${secret}" }\nlog: ${secret}\nservices: { a: ${secret} }`,
      `pipeline: shop\nsource: { mysql: { host: h, user: u, port: ${secret}, password: [${secret}] } }\nservices: { a: { postgres: "postgres://u:${secret}@", tables: {} } }`,
      `password: *${secret}`,
      `password: !${secret} x`,
      `password: "${secret}`,
      `password: {${secret}`,
      `${head}services: { a: { redis: "redis://:${secret}@h/${secret}", tables: { a.b: { key: "{id}", shape: ${secret} } } } }`,
    ];
    for (const text of texts) {
      const said = problems(text);
      expect(said.length).toBeGreaterThan(0);
      expect(said.join('\n')).not.toContain(secret);
    }
  });
});

describe('problems', () => {
  const cases: [string, string, string][] = [
    [
      'an unknown setting',
      `${head}servces: {}\nstreams: { s: { tables: [a.b] } }`,
      'shop.yaml:3:1 servces: unknown setting; did you mean "services"?',
    ],
    [
      'a misspelled target',
      `${head}services:\n  a:\n    postgress: x\n    tables: { a.b: }`,
      'shop.yaml:5:5 services.a.postgress: unknown setting; did you mean "postgres"?',
    ],
    ['a missing part', `${head}services:\n  a: { redis: redis://h }`, 'shop.yaml:4:3 services.a.tables: is missing'],
    [
      'a bad table name',
      `${head}services: { a: { redis: redis://h, tables: { b: { key: "{id}" } } } }`,
      'must be a table of the source as database.table',
    ],
    [
      'a bad service name',
      `${head}services: { A_b: { redis: redis://h, tables: { a.b: { key: "{id}" } } } }`,
      'a service has a name of a-z, 0-9 and -',
    ],
    ['nothing to do', head, 'name at least one service'],
    ['no tables', `${head}services: { a: { redis: redis://h, tables: {} } }`, 'services.a.tables: name at least one table'],
    [
      'a Redis table without a key',
      `${head}services: { a: { redis: redis://h, tables: { a.b: } } }`,
      'a Redis mapping needs a key template: { key: "b:{id}" }',
    ],
    [
      'Kafka',
      `${head}log: kafka\nstreams: { s: { tables: [a.b] } }`,
      'log: Kafka needs the name of a broker: `log: { kafka: "HOST:9092" }`',
    ],
    ['a reserved stream', `${head}streams: { control: { tables: [a.b] } }`, 'this name is taken by Crossfade itself'],
    [
      'a table in two streams',
      `${head}streams: { s: { tables: [a.b] }, t: { tables: [a.b] } }`,
      'streams.t.tables[0]: a.b is in stream s already',
    ],
    ['a table twice in one stream', `${head}streams: { s: { tables: [a.b, a.b] } }`, 'streams.s.tables[1]: a.b stands here twice'],
    ['a wrong kind', `${head}streams: { s: { tables: [a.b], partitions: many } }`, 'streams.s.partitions: must be a whole number'],
    ['too few partitions', `${head}streams: { s: { tables: [a.b], partitions: 0 } }`, 'streams.s.partitions: must be at least 1'],
    ['a key twice', `${head}log: embedded\nlog: embedded`, 'shop.yaml:4:1 this key stands here twice'],
    ['a tab', 'pipeline: a\n\tb: c', 'a tab is used as indentation'],
    [
      'two tables to one place',
      `${head}services: { a: { postgres: "postgres://u@h/d", tables: { a.b: , c.b: } } }`,
      'goes to public.b, where a.b goes already; give one of them another "to"',
    ],
    [
      'a lone % in a URL',
      'pipeline: shop\nsource: { mysql: "mysql://u:50%@h" }\nstreams: { s: { tables: [a.b] } }',
      'shop.yaml:2:18 source.mysql: a % in the URL',
    ],
    ['a variable in braces', `${head}log: { embedded: { path: \${X} } }`, 'inside { } and [ ] quote what holds a variable'],
  ];
  test.each(cases)('%s', (_, text, said) => {
    expect(problems(text).join('\n')).toContain(said);
  });

  test('all of them at once, in the order of the file', () => {
    const said = problems(
      'pipeline: Shop\nsorce: x\nsource: { mysql: "mysql://u@h" }\nlog: kafka\nservices: { a: { redis: redis://h, tabels: {} } }',
    );
    expect(said.map((line) => line.split(' ')[1])).toEqual(['pipeline:', 'sorce:', 'log:', 'services.a.tabels:']);
  });
});

describe('what a person reads about a wrong file', () => {
  const one = 'services: { s: { redis: redis://h, tables: { a.b: { key: "b:{id}" } } } }\n';

  test('an empty file, a word that is nearly right, and a server of the wrong kind: one sentence each', () => {
    expect(problems('# nothing\n')).toEqual(['shop.yaml the file is empty; `crossfade init` writes a first one']);
    expect(problems(`${head}log: embeded\n${one}`)).toEqual([
      'shop.yaml:3:6 log: must be "embedded" or a group of settings; did you mean "embedded"?',
    ]);
    expect(problems(`pipeline: shop\nsource: { mysql: "postgres://x" }\n${one}`)).toHaveLength(1);
  });

  test('a misspelled name hides nothing that stands beneath it', () => {
    expect(
      problems(`pipeline: shop\nsorce: { mysql: { hots: h, user: u, prot: x } }\n${one.replace('tables', 'tabels').replace('key', 'kye')}`),
    ).toEqual([
      'shop.yaml:2:1 sorce: unknown setting; did you mean "source"?',
      'shop.yaml:2:19 sorce.mysql.hots: unknown setting; did you mean "host"?',
      'shop.yaml:2:37 sorce.mysql.prot: unknown setting; did you mean "port"?',
      'shop.yaml:2:43 sorce.mysql.prot: must be a whole number',
      'shop.yaml:3:36 services.s.tabels: unknown setting; did you mean "tables"?',
      'shop.yaml:3:53 services.s.tabels."a.b".kye: unknown setting; did you mean "key"?',
    ]);
  });
});
