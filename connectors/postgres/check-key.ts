/** The target's key: the upsert needs a unique index on exactly the source's, and an index entry has a limit that MySQL's keys pass. */
import type { ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { type TargetTable, uniqueKeysOn } from './catalog.ts';
import { addKeyStatement, retypeStatement } from './ddl.ts';
import { finding } from './finding.ts';
import { quotedTarget, targetText } from './identifiers.ts';
import { hasMinusZero, keyColumnFault, keyIndexFault } from './key-columns.ts';

/** A third of a page: what a B-tree takes. */
const indexEntryBytesMax = 2_704;
/** MySQL's keys end here. */
const sourceKeyBytesMax = 3_072;

export function checkKey(table: TargetTable, schema: TableSchema, where: string): Finding[] {
  // Without all of its columns the key cannot be made; those are findings of their own.
  if (!schema.key.every((name) => table.columns.has(name))) return [];
  const size = [...checkSize(schema, where), ...checkEquality(table, schema, where)];
  if (uniqueKeysOn(table, schema.key).length > 0) return size;
  const message = `${targetText(table.name)} has no primary key or unique constraint on exactly (${schema.key.join(', ')})`;
  return [finding('error', 'TARGET_KEY_MISSING', where, message, addKeyStatement(quotedTarget(table.name), schema.key)), ...size];
}

/** The target must tell apart what the log does. */
function checkEquality(table: TargetTable, schema: TableSchema, where: string): Finding[] {
  const folding = keyIndexFault(table, schema);
  const columns = schema.columns.flatMap((source): Finding[] => {
    const target = table.columns.get(source.name);
    if (!target || !schema.key.includes(source.name)) return [];
    const fault = keyColumnFault(source, target);
    if (fault !== undefined)
      return [finding('error', 'TARGET_COLUMN_TYPE', where, fault, retypeStatement(quotedTarget(table.name), comparable(source), target))];
    if (!hasMinusZero(source, target) || source.kind === 'decimal') return [];
    return [
      finding(
        'warning',
        'TARGET_COLUMN_TYPE',
        where,
        `key column "${source.name}": minus zero is refused, which the target takes for zero`,
      ),
    ];
  });
  return folding === undefined ? columns : [...columns, finding('error', 'TARGET_COLUMN_TYPE', where, folding)];
}

/** The type proposed for JSON is no key. */
const comparable = (source: ColumnSchema): ColumnSchema =>
  source.kind === 'json' ? { ...source, kind: 'string', type: 'longtext' } : source;

function checkSize(schema: TableSchema, where: string): Finding[] {
  const columns = schema.columns.filter(({ name }) => schema.key.includes(name));
  const bytes = columns.reduce((sum, column) => sum + keyBytes(column), 0);
  if (bytes <= indexEntryBytesMax) return [];
  const message = `a key can have up to ${Math.min(bytes, sourceKeyBytesMax)} bytes, and Postgres indexes no entry beyond ${indexEntryBytesMax}: rows with longer keys are refused (keys that compress well pass)`;
  return [finding('warning', 'TARGET_KEY_MISSING', where, message)];
}

/** At worst; a text's characters take up to four bytes. */
function keyBytes({ kind, length }: ColumnSchema): number {
  if (kind === 'string') return Math.min((length ?? sourceKeyBytesMax) * 4, sourceKeyBytesMax);
  return kind === 'bytes' ? Math.min(length ?? sourceKeyBytesMax, sourceKeyBytesMax) : 16;
}
