import { describe, expect, test } from 'vitest';

import { checkInfo, checkMappings } from '../../connectors/redis/check.ts';
import { hashMapping } from '../../connectors/redis/row-batch.ts';
import type { TableSchema } from '../../src/core/change.ts';

const good = {
  redis_version: '7.2.4',
  role: 'master',
  cluster_enabled: '0',
  maxmemory: '0',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
};
const info = (change: Partial<Record<keyof typeof good | 'master_host', string>>) =>
  checkInfo(new Map(Object.entries({ ...good, ...change })), 'service s');

describe('the server', () => {
  test('one that is as it should be has no finding', () => {
    expect(info({})).toEqual([]);
    expect(info({ redis_version: '6.2.0' })).toEqual([]);
  });

  test.each([
    [{ redis_version: '6.0.16' }, 'error', 'too old', undefined],
    [{ redis_version: '5.9.0' }, 'error', 'too old', undefined],
    [{ cluster_enabled: '1' }, 'error', 'cluster', undefined],
    [{ role: 'slave', master_host: 'h' }, 'error', 'replica of h', undefined],
    [{ maxmemory: '100', maxmemory_policy: 'allkeys-lru' }, 'error', 'allkeys-lru', 'CONFIG SET maxmemory-policy noeviction'],
    [{ maxmemory_policy: 'allkeys-lru' }, 'warning', 'allkeys-lru', 'CONFIG SET maxmemory-policy noeviction'],
    [{ maxmemory: '100', maxmemory_policy: 'volatile-ttl' }, 'warning', 'volatile-ttl', 'CONFIG SET maxmemory-policy noeviction'],
    [{ aof_enabled: '0' }, 'warning', 'appendonly is off', 'CONFIG SET appendonly yes'],
  ])('%o: %s', (change, level, message, fix) => {
    const findings = info(change);
    expect(findings).toEqual([expect.objectContaining({ level, message: expect.stringContaining(message) as string })]);
    expect(findings[0]?.fix).toBe(fix);
  });
});

describe('the mappings', () => {
  const stock: TableSchema = {
    id: 's',
    table: { database: 'shop', table: 'stock' },
    key: ['warehouse', 'sku'],
    columns: ['warehouse', 'sku', 'note'].map((name) => ({ name, kind: 'string', nullable: name === 'note', type: 'text' })),
  };
  const check = (templates: readonly string[], schema: TableSchema | undefined = stock) =>
    checkMappings({
      where: 'service s',
      mappings: templates.map((key) => hashMapping({ source: stock.table, transforms: [], target: '', options: { key } })),
      schemas: templates.map(() => schema),
    });

  test('a template with the whole key has no finding', () => {
    expect(check(['stock:{warehouse}:{sku}'])).toEqual([]);
  });

  test.each([
    ['stock:{warehouse}:{sku}:{nope}', 'error', 'TARGET_COLUMN_MISSING'],
    ['stock:{warehouse}:{sku}:{note}', 'error', 'CONFIG_INVALID'],
    ['stock:{sku}', 'warning', 'TARGET_KEY_MISSING'],
  ])('%s: %s %s, with the template to write instead', (template, level, code) => {
    expect(check([template])).toEqual([
      expect.objectContaining({ level, code, where: 'service s: shop.stock', fix: 'key: "stock:{warehouse}:{sku}"' }),
    ]);
  });

  test('a system-versioned table without row_end in its template would end with a stale version', () => {
    const versions: TableSchema = {
      ...stock,
      key: ['sku', 'row_end'],
      columns: [...stock.columns, { name: 'row_end', kind: 'timestamp', nullable: false, type: 'timestamp(6)', scale: 6 }],
    };
    expect(check(['stock:{sku}:{row_end}'], versions)).toEqual([]);
    expect(check(['stock:{sku}'], versions)).toEqual([
      expect.objectContaining({ level: 'error', code: 'TARGET_KEY_MISSING', fix: 'key: "stock:{sku}:{row_end}"' }),
    ]);
  });

  test('two templates that can render the same key', () => {
    expect(check(['stock:{warehouse}:{sku}', '{warehouse}:x:{sku}'])).toEqual([
      expect.objectContaining({ level: 'error', code: 'CONFIG_INVALID' }),
    ]);
  });

  test('a column with the name of our own field; a table that the source does not have', () => {
    const clash = { ...stock, columns: [...stock.columns, { name: '__version', kind: 'string', nullable: true, type: 'text' } as const] };
    expect(check(['stock:{warehouse}:{sku}'], clash)).toEqual([expect.objectContaining({ level: 'error', code: 'CONFIG_INVALID' })]);
    expect(
      checkMappings({
        where: 's',
        mappings: [hashMapping({ source: stock.table, transforms: [], target: '', options: { key: 'x:{nope}' } })],
        schemas: [undefined],
      }),
    ).toEqual([]);
  });
});
