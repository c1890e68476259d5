/**
 * Keys that the target tells apart exactly as the log does. The log orders and partitions by a key's text: where the target
 * takes two texts for one key, the delete of the one, in its partition, may come behind the insert of the other, in another.
 */
import type { ColumnSchema, TableSchema } from '../../src/core/change.ts';
import { type TargetColumn, type TargetTable, uniqueKeysOn } from './catalog.ts';
import { Refused } from './policy.ts';
import type { ToText } from './values.ts';

/** Types that hold two values for equal only where we write the same text, or refuse the other one. Closed: others cannot be keys. */
const exactKeys =
  'bool int2 int4 int8 numeric float4 float8 bit varbit bytea uuid inet text varchar bpchar _text date time timestamp timestamptz interval';
const isExactKey = new Set(exactKeys.split(' '));

/** Why this column cannot be part of the key; undefined where it can. */
export function keyColumnFault({ name }: ColumnSchema, target: TargetColumn): string | undefined {
  const told = `key column "${name}" is ${target.shownType} in the target`;
  const lost = 'keys that differ in the log would be one row there';
  if (target.foldingCollation !== undefined) return `${told} with the nondeterministic collation "${target.foldingCollation}": ${lost}`;
  return target.isEnum || isExactKey.has(target.base) ? undefined : `${told}, whose equality is not that of the texts: ${lost}`;
}

/** Why an upsert cannot go by the indexes on the key. It goes by all of them: one that folds is one too many. */
export function keyIndexFault(table: TargetTable, { key }: TableSchema): string | undefined {
  const folding = uniqueKeysOn(table, key).find(({ isFolding }) => isFolding);
  if (!folding || key.some((name) => table.columns.get(name)?.foldingCollation !== undefined)) return undefined;
  return `the unique index ${folding.index} on the key has a nondeterministic collation: keys that differ in the log would be one row there. Make it one with a deterministic collation (COLLATE "C")`;
}

/** What the target stores but takes for equal to another value is refused in a key. */
export function keyWriter({ kind }: ColumnSchema, { base }: TargetColumn, write: ToText): ToText {
  if (!hasMinusZero({ kind }, { base })) return write;
  return (value) => {
    if (Object.is(value, -0) || (typeof value === 'string' && /^-[0.]*$/.test(value))) {
      throw new Refused(
        'minus zero in a key is the same row as zero in the target, and another one in the log',
        'Make the column text in the target and load the table again, since Postgres spells the numbers that are there otherwise; then start again.',
      );
    }
    return write(value);
  };
}

export function hasMinusZero({ kind }: Pick<ColumnSchema, 'kind'>, { base }: Pick<TargetColumn, 'base'>): boolean {
  return (kind === 'float' || kind === 'double' || kind === 'decimal') && base !== 'text' && base !== 'varchar';
}
