/** Which changes of the configuration mean other rows in the target, and which do not. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Config, parseConfig } from '../../src/config.ts';
import { withoutDefaults } from '../../src/config-mapping-hash.ts';

function config(services: string, rest = ''): Config {
  const text = `pipeline: shop\nsource:\n  mysql: mysql://u@h\n${rest}services:\n  s:\n    ${services}\n`;
  const reading = parseConfig(text, '/etc/shop.yaml', { environment: {}, readSecret: () => undefined });
  if ('problems' in reading) throw new Error(reading.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return reading.config;
}
const hash = (services: string, rest = '', partition = 'shop.a.b#0') => config(services, rest).services[0]?.mappingHash(partition);
const postgres = (mapping: string) => hash(`{ postgres: postgres://u@h/d, tables: { a.b: ${mapping} } }`);
const redis = (mapping: string) => hash(`{ redis: redis://h, tables: { a.b: ${mapping} } }`);

describe('the mapping hash', () => {
  test('is the same for a default that is spelled out and one that is left out', () => {
    const plain = postgres('');
    expect(postgres('{}')).toBe(plain);
    expect(postgres('{ transforms: [] }')).toBe(plain);
    expect(postgres('{ to: public.b }')).toBe(plain);
    expect(redis('{ shape: hash, key: "b:{id}" }')).toBe(redis('{ key: "b:{id}" }'));
  });

  test('of a service that was there before an option is not moved by the option', () => {
    const before = z.strictObject({ key: z.string() });
    const after = before.extend({
      expireSeconds: z.int().default(0),
      nulls: z.strictObject({ as: z.string().default('absent'), of: z.string().optional() }).prefault({}),
      modes: z.array(z.strictObject({ name: z.string(), deep: z.boolean().default(false) })).default([]),
    });
    const written = { key: 'b:{id}' };
    expect(withoutDefaults(after, after.parse(written))).toEqual(withoutDefaults(before, before.parse(written)));
    const more = { ...written, expireSeconds: 5, nulls: { as: 'empty' }, modes: [{ name: 'x' }] };
    expect(withoutDefaults(after, after.parse(more))).toEqual(more);
  });

  test.each([
    ['another table', postgres('{ to: public.c }')],
    ['a renaming', postgres('{ transforms: [ { rename: { x: y } } ] }')],
    ['another renaming', postgres('{ transforms: [ { rename: { x: z } } ] }')],
    ['a projection', postgres('{ transforms: [ { project: [id, x] } ] }')],
    ['two stages', postgres('{ transforms: [ { project: [id, x] }, { rename: { x: y } } ] }')],
    ['the same stages the other way round', postgres('{ transforms: [ { rename: { x: y } }, { project: [id, x] } ] }')],
  ])('is another one for %s', (_, changed) => {
    const others = [postgres(''), postgres('{ transforms: [ { rename: { y: x } } ] }')];
    expect(changed).toMatch(/^[0-9a-f]{16}$/);
    expect(others).not.toContain(changed);
  });

  test('is another one for each of them', () => {
    const stages = ['{ rename: { x: y } }', '{ project: [id, x] }'];
    const all = [stages, [...stages].reverse(), [stages[0]], [stages[1]], []].map((each) =>
      postgres(`{ transforms: [${each.join(', ')}] }`),
    );
    expect(new Set(all).size).toBe(all.length);
  });

  test('minds no order of names: of settings, of renamings, of projected columns, of tables', () => {
    expect(redis('{ key: "b:{id}", shape: hash }')).toBe(redis('{ shape: hash, key: "b:{id}" }'));
    expect(postgres('{ transforms: [ { rename: { x: y, v: w } } ] }')).toBe(postgres('{ transforms: [ { rename: { v: w, x: y } } ] }'));
    expect(postgres('{ transforms: [ { project: [x, id, x] } ] }')).toBe(postgres('{ transforms: [ { project: [id, x] } ] }'));
    const streams = 'streams: { one: { tables: [a.b, a.c] } }\n';
    const two = (tables: string) => hash(`{ postgres: postgres://u@h/d, tables: { ${tables} } }`, streams, 'shop.one#0');
    expect(two('a.c: , a.b: ')).toBe(two('a.b: , a.c: '));
    expect(two('a.b: ')).not.toBe(two('a.b: , a.c: '));
  });

  test("a Redis key's columns have an order: it is the key's text", () => {
    expect(redis('{ key: "b:{x}:{y}" }')).not.toBe(redis('{ key: "b:{y}:{x}" }'));
  });

  test('what becomes of values that the target cannot hold is no part of it: no row was written with the old answer', () => {
    expect(postgres('{ values: { nul: strip, zeroDate: null } }')).toBe(postgres('{}'));
    expect(postgres('{ values: { columns: { born: { zeroDate: 0001-01-01 }, shape: { geometry: ewkb } } } }')).toBe(postgres('{}'));
  });

  test('the form of geometries is part of it: rows of before and after would differ', () => {
    const wkb = postgres('{ values: { geometry: wkb } }');
    expect(wkb).not.toBe(postgres('{}'));
    expect(postgres('{ values: { nul: strip, geometry: wkb, columns: { shape: { geometry: wkb } } } }')).toBe(wkb);
    expect(postgres('{ values: { columns: { shape: { geometry: wkb } } } }')).not.toBe(wkb);
  });

  test('the columns that `keys` names are a set: their order moves neither the hash nor a row to another partition', () => {
    const one = '{ postgres: postgres://u@h/d, tables: { a.b: } }';
    expect(hash(one, '  keys: { a.b: [x, y] }\n')).toBe(hash(one, '  keys: { a.b: [y, x] }\n'));
    expect(config(one, '  keys: { a.b: [y, x] }\n').keys).toEqual(new Map([['a.b', ['x', 'y']]]));
  });
});
