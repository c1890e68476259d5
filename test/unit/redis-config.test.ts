import { describe, expect, test } from 'vitest';

import { redisMappingOptions, redisSchema } from '../../connectors/redis/config.ts';

describe('redis settings', () => {
  test.each([
    ['redis://cache.internal', { host: 'cache.internal', port: 6379, database: 0, tls: false }],
    ['redis://:p%40ss@h:7000/3', { host: 'h', port: 7000, password: 'p@ss', database: 3, tls: false }],
    ['rediss://ada:x@[::1]:1', { host: '::1', port: 1, user: 'ada', password: 'x', database: 0, tls: true }],
  ])('%s', (url, expected) => {
    expect(redisSchema.parse(url)).toEqual(expected);
  });

  test.each(['http://secret@h', 'redis://', 'redis://h/secret', 'redis://h?secret=1', 'redis://u:%zzsecret@h', 'secret'])(
    '%s is refused, and never repeated',
    (url) => {
      const answer = redisSchema.safeParse(url);
      expect(answer.success).toBe(false);
      expect(JSON.stringify(answer.error?.issues)).not.toContain('secret');
    },
  );

  test('spelled out, with defaults and without unknown keys', () => {
    expect(redisSchema.parse({ host: 'h', tls: { verify: false } })).toEqual({
      host: 'h',
      port: 6379,
      database: 0,
      tls: { verify: false },
    });
    expect(redisSchema.safeParse({ host: 'h', pasword: 'x' }).success).toBe(false);
  });
});

describe("a mapping's options", () => {
  test('hash is the shape when none is named', () => {
    expect(redisMappingOptions.parse({ key: 'stock:{sku}' })).toEqual({ shape: 'hash', key: 'stock:{sku}' });
  });

  test('a template that is none, another shape, an unknown key and no key are refused', () => {
    for (const options of [{ key: 'stock' }, { key: 'x:{a}', shape: 'set' }, { key: 'x:{a}', ttl: 3 }, { shape: 'hash' }]) {
      expect(redisMappingOptions.safeParse(options).success).toBe(false);
    }
  });
});
