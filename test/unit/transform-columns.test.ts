import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { ChangeEvent, ColumnSchema, Row, TableSchema, Value } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Transform } from '../../src/core/sink-port.ts';
import { versionZero } from '../../src/core/version.ts';
import { makeTransform, transformSchema, type TransformConfig } from '../../transforms/all.ts';
import { project } from '../../transforms/project.ts';
import { rename } from '../../transforms/rename.ts';

const seed = Date.now() % 2 ** 31;
process.stdout.write(`transforms: seed ${seed}\n`);

const column = (name: string): ColumnSchema => ({ name, kind: 'string', nullable: true, type: `type of ${name}` });
const table = (columns: readonly string[], key: readonly string[]): TableSchema => ({
  id: 'abc',
  table: { database: 'shop', table: 'people' },
  columns: columns.map(column),
  key,
});
const people = table(['id', 'a', 'b', 'c'], ['id']);
const rowOf = (schema: TableSchema, mark = ''): Row => {
  const row: Record<string, Value> = {};
  for (const { name } of schema.columns) {
    Object.defineProperty(row, name, { value: `${mark}${name}`, enumerable: true, configurable: true, writable: true });
  }
  return row;
};
const common = { version: versionZero, committedAtUs: 5, transactionId: 't' };
const update = (schema: TableSchema): ChangeEvent => ({
  ...common,
  op: 'update',
  schema,
  before: rowOf(schema, 'old '),
  after: rowOf(schema),
});
const names = (schema: TableSchema) => schema.columns.map(({ name }) => name);
const shapes = (transforms: readonly Transform[], schema: TableSchema) =>
  transforms.reduce((shape, transform) => transform.schema(shape), schema);
const changes = (transforms: readonly Transform[], event: ChangeEvent) =>
  transforms.reduce<readonly ChangeEvent[]>((events, transform) => events.flatMap((one) => transform.change(one)), [event]);
const after = (transforms: readonly Transform[], schema = people) => {
  const [event] = changes(transforms, update(schema));
  return event?.op === 'update' ? event.after : undefined;
};
const invalid = (mention: string) =>
  expect.objectContaining({ code: 'TRANSFORM_INVALID', fault: 'fatal', message: expect.stringContaining(mention) as string });

describe('rename', () => {
  test('a column, with its place and its type; the key follows', () => {
    const shape = rename({ id: 'person_id', b: 'bee' }).schema(people);
    expect(names(shape)).toEqual(['person_id', 'a', 'bee', 'c']);
    expect(shape.key).toEqual(['person_id']);
    expect(shape.columns[2]?.type).toBe('type of b');
    expect(after([rename({ id: 'person_id', b: 'bee' })])).toEqual({ person_id: 'id', a: 'a', bee: 'b', c: 'c' });
  });

  test('swaps, rings and chains', () => {
    expect(after([rename({ a: 'b', b: 'a' })])).toEqual({ id: 'id', b: 'a', a: 'b', c: 'c' });
    expect(after([rename({ a: 'b', b: 'c', c: 'a' })])).toEqual({ id: 'id', b: 'a', c: 'b', a: 'c' });
    expect(after([rename({ a: 'x' }), rename({ x: 'y' }), rename({ y: 'a' })])).toEqual(rowOf(people));
  });

  test('an unknown column, and a name that is taken, are refused by name, by schema and change alike', () => {
    for (const [transform, mention] of [
      [rename({ nope: 'x' }), 'nope'],
      [rename({ a: 'b' }), 'named b'],
      [rename({ a: 'x', b: 'x' }), 'named x'],
      [rename({ toString: 'x' }), 'toString'],
    ] as const) {
      expect(() => transform.schema(people)).toThrow(invalid(mention));
      expect(() => transform.change(update(people))).toThrow(invalid(mention));
    }
  });
});

describe('project', () => {
  test("keeps the columns named, in the table's order", () => {
    expect(names(project(['c', 'id']).schema(people))).toEqual(['id', 'c']);
    expect(after([project(['c', 'id'])])).toEqual({ id: 'id', c: 'c' });
  });

  test('an unknown column, and a key that would be lost, are refused by name', () => {
    expect(() => project(['id', 'nope']).schema(people)).toThrow(invalid('nope'));
    expect(() => project(['a']).schema(people)).toThrow(invalid('id'));
    expect(() => project(['a']).change(update(people))).toThrow(invalid('id'));
  });
});

test('stages work on what the stage before left', () => {
  const stages = [rename({ a: 'name' }), project(['id', 'name']), rename({ id: 'key' })];
  expect(names(shapes(stages, people))).toEqual(['key', 'name']);
  expect(after(stages)).toEqual({ key: 'id', name: 'a' });
  expect(() => shapes([project(['id']), rename({ a: 'x' })], people)).toThrow(invalid('there is no column a'));
});

test('every kind of change keeps its place in the order; inserts, deletes and truncates too', () => {
  const stage = rename({ a: 'x' });
  const shape = stage.schema(people);
  const row = { id: 'id', x: 'a', b: 'b', c: 'c' };
  for (const [change, expected] of [
    [
      { op: 'insert', after: rowOf(people) },
      { op: 'insert', after: row },
    ],
    [
      { op: 'read', after: rowOf(people) },
      { op: 'read', after: row },
    ],
    [
      { op: 'delete', before: rowOf(people) },
      { op: 'delete', before: row },
    ],
    [{ op: 'truncate' }, { op: 'truncate' }],
  ] as const) {
    expect(stage.change({ ...common, ...change, schema: people })).toEqual([{ ...common, ...expected, schema: shape }]);
  }
});

test('a shape is computed once, and has an id of its own that says what was done', () => {
  const stage = rename({ a: 'x' });
  expect(stage.schema(people)).toBe(stage.schema(people));
  expect(stage.change(update(people))[0]?.schema).toBe(stage.schema(people));
  const ids = [people, stage.schema(people), rename({ a: 'y' }).schema(people), project(['id']).schema(people)].map(({ id }) => id);
  expect(new Set(ids).size).toBe(4);
  expect(rename({ a: 'x' }).schema(people).id).toBe(stage.schema(people).id);
});

const columnName = fc.constantFrom('id', 'a', 'b', 'c', 'x', 'y', '__proto__', 'constructor');
const config: fc.Arbitrary<TransformConfig> = fc.oneof(
  fc.array(fc.tuple(columnName, columnName), { maxLength: 4 }).map((pairs) => ({ rename: Object.fromEntries(pairs) })),
  fc.uniqueArray(columnName, { minLength: 1 }).map((project) => ({ project })),
);

function errorOf(work: () => unknown): CrossfadeError {
  try {
    work();
  } catch (error) {
    if (error instanceof CrossfadeError && error.code === 'TRANSFORM_INVALID') return error;
    throw error;
  }
  throw new Error('it was not refused');
}
function shapeOrError(stages: readonly Transform[], schema: TableSchema): TableSchema | CrossfadeError {
  try {
    return shapes(stages, schema);
  } catch {
    return errorOf(() => shapes(stages, schema));
  }
}

test('schema() and change() agree: rows have exactly the columns of the shape, values never meet or get lost', () => {
  let applied = 0;
  fc.assert(
    fc.property(fc.array(config, { minLength: 1, maxLength: 4 }), fc.uniqueArray(columnName, { minLength: 2 }), (configs, columns) => {
      const schema = table(columns, [columns[0] as string]);
      const stages = configs.map(makeTransform);
      const shape = shapeOrError(stages, schema);
      if (shape instanceof Error) return errorOf(() => changes(stages, update(schema))).message === shape.message;
      applied += 1;
      const [event, ...more] = changes(stages, update(schema));
      expect(more).toEqual([]);
      if (event?.op !== 'update') throw new Error('an update stays one');
      expect(event.schema).toBe(shape);
      const old = event.before;
      for (const row of [event.before, event.after]) expect(Object.keys(row).sort()).toEqual(names(shape).sort());
      // Each shape's column still says, by its type, which source column it was.
      for (const { name, type } of shape.columns) expect(`type of ${event.after[name] as string}`).toBe(type);
      for (const { name, type } of shape.columns) expect(`type of ${(old[name] as string).slice(4)}`).toBe(type);
      expect(shape.key.map((name) => event.after[name])).toEqual([columns[0]]);
      return true;
    }),
    { seed, numRuns: 3000 },
  );
  // A property that only ever meets refusals says nothing.
  expect(applied).toBeGreaterThan(100);
});

describe('as a person writes it', () => {
  test('one stage an object', () => {
    expect(makeTransform(transformSchema.parse({ rename: { a: 'x' } })).name).toBe('rename');
    expect(makeTransform(transformSchema.parse({ project: ['id'] })).name).toBe('project');
  });

  test.each([{}, { rename: { a: 'x' }, project: ['id'] }, { mask: ['a'] }, { project: [] }, { project: 'id' }, { rename: { a: 1 } }])(
    '%j is refused',
    (wrong) => {
      expect(transformSchema.safeParse(wrong).success).toBe(false);
    },
  );
});
