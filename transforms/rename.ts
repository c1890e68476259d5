import type { TableSchema } from '../src/core/change.ts';
import type { Transform } from '../src/core/sink-port.ts';
import { columnTransform, invalidTransform } from './columns.ts';

/** Gives columns other names: `rename: { full_name: name }`. All at once, so that two can swap: `{ a: b, b: a }`. */
export function rename(names: Readonly<Record<string, string>>): Transform {
  const renamed = new Map(Object.entries(names));
  return columnTransform('rename', JSON.stringify([...renamed]), (schema) => {
    const columns = new Map<string, string>();
    const taken = new Set<string>();
    for (const { name } of schema.columns) {
      const to = renamed.get(name) ?? name;
      if (taken.has(to)) throw collision(schema, to);
      taken.add(to);
      columns.set(name, to);
    }
    for (const from of renamed.keys()) {
      if (!columns.has(from)) throw invalidTransform('rename', schema, `there is no column ${from}`);
    }
    return columns;
  });
}

const collision = (schema: TableSchema, to: string) => invalidTransform('rename', schema, `two columns would be named ${to}`);
