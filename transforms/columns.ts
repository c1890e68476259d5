/** What rename and project have in common: each table's columns become others, the values stay. */
import type { ChangeEvent, Row, TableSchema, Value } from '../src/core/change.ts';
import { CrossfadeError } from '../src/core/errors.ts';
import { murmur2 } from '../src/core/partition.ts';
import { reshaped } from '../src/core/scanned-change.ts';
import type { Transform } from '../src/core/sink-port.ts';

interface Plan {
  readonly schema: TableSchema;
  /** Which column of the source's shape each of `schema` is. */
  readonly columns: Int32Array;
  readonly row: (row: Row) => Row;
}

/**
 * `columnsOf` answers, in order, which columns go on and under which name; it throws TRANSFORM_INVALID. It is asked once
 * per shape of a table: `schema()` and `change()` share the answer and so cannot disagree.
 */
export function columnTransform(
  name: string,
  settings: string,
  columnsOf: (schema: TableSchema) => ReadonlyMap<string, string>,
): Transform {
  const plans = new WeakMap<TableSchema, Plan>();
  const planOf = (schema: TableSchema): Plan => {
    let plan = plans.get(schema);
    if (!plan) {
      const columns = columnsOf(schema);
      plan = {
        schema: schemaOf(schema, columns, `${name} ${settings}`),
        columns: Int32Array.from(schema.columns.flatMap((column, index) => (columns.has(column.name) ? [index] : []))),
        row: rowOf([...columns]),
      };
      plans.set(schema, plan);
    }
    return plan;
  };
  return {
    name,
    schema: (schema) => planOf(schema).schema,
    change: (event) => [changed(event, planOf(event.schema))],
  };
}

function changed(event: ChangeEvent, { schema, columns, row }: Plan): ChangeEvent {
  const moved = reshaped(event, schema, columns);
  if (moved !== undefined) return moved;
  const { version, committedAtUs, transactionId } = event;
  const common = { schema, version, committedAtUs, transactionId };
  switch (event.op) {
    case 'update':
      return { op: event.op, ...common, before: row(event.before), after: row(event.after) };
    case 'delete':
      return { op: event.op, ...common, before: row(event.before) };
    case 'truncate':
      return { op: event.op, ...common };
    default:
      return { op: event.op, ...common, after: row(event.after) };
  }
}

function schemaOf(schema: TableSchema, columns: ReadonlyMap<string, string>, settings: string): TableSchema {
  return {
    // The same settings on the same shape are the same shape, in every process.
    id: `${schema.id}-${(murmur2(new TextEncoder().encode(settings)) >>> 0).toString(16).padStart(8, '0')}`,
    table: schema.table,
    columns: schema.columns.flatMap((column) => {
      const name = columns.get(column.name);
      return name === undefined ? [] : [{ ...column, name }];
    }),
    key: schema.key.map((name) => columns.get(name) as string),
  };
}

function rowOf(columns: readonly (readonly [from: string, to: string])[]): (row: Row) => Row {
  return (row) => {
    const out: Record<string, Value> = {};
    for (const [from, to] of columns) {
      const value = row[from] as Value;
      // Assigning to __proto__ would set the prototype, and the column would be gone.
      if (to === '__proto__') Object.defineProperty(out, to, { value, enumerable: true, configurable: true, writable: true });
      else out[to] = value;
    }
    return out;
  };
}

export function invalidTransform(name: string, { table, columns }: TableSchema, what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'TRANSFORM_INVALID',
    fault: 'fatal',
    message: `${name} cannot be applied to ${table.database}.${table.table}: ${what}`,
    remedy: `Correct the transforms of this table. The columns at this point are: ${columns.map((column) => column.name).join(', ')}.`,
  });
}
