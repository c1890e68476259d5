/** The target's key: the upsert needs a unique index on exactly the source's, and an index entry has a limit that MySQL's keys pass. */
import type { ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { hasUniqueKey, type TargetTable } from './catalog.ts';
import { addKeyStatement } from './ddl.ts';
import { finding } from './finding.ts';
import { quotedTarget, targetText } from './identifiers.ts';

/** A third of a page: what a B-tree takes. */
const indexEntryBytesMax = 2_704;
/** MySQL's keys end here. */
const sourceKeyBytesMax = 3_072;

export function checkKey(table: TargetTable, schema: TableSchema, where: string): Finding[] {
  // Without all of its columns the key cannot be made; those are findings of their own.
  if (!schema.key.every((name) => table.columns.has(name))) return [];
  const size = checkSize(schema, where);
  if (hasUniqueKey(table, schema.key)) return size;
  const message = `${targetText(table.name)} has no primary key or unique constraint on exactly (${schema.key.join(', ')})`;
  return [finding('error', 'TARGET_KEY_MISSING', where, message, addKeyStatement(quotedTarget(table.name), schema.key)), ...size];
}

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
