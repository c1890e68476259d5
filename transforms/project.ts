import type { Transform } from '../src/core/sink-port.ts';
import { columnTransform, invalidTransform } from './columns.ts';

/** Keeps these columns, in the table's order, and drops the others: `project: [id, sku]`. The key's columns must stay. */
export function project(columns: readonly string[]): Transform {
  const kept = new Set(columns);
  return columnTransform('project', JSON.stringify([...kept]), (schema) => {
    const names = new Set(schema.columns.map(({ name }) => name));
    const unknown = columns.find((name) => !names.has(name));
    if (unknown !== undefined) throw invalidTransform('project', schema, `there is no column ${unknown}`);
    const lost = schema.key.find((name) => !kept.has(name));
    if (lost !== undefined) throw invalidTransform('project', schema, `${lost} belongs to the key and must be kept`);
    return new Map(schema.columns.filter(({ name }) => kept.has(name)).map(({ name }) => [name, name]));
  });
}
