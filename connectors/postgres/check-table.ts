/** The table as a whole: its name, what it is, how wide its rows are. */
import type { TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { TargetTable } from './catalog.ts';
import { finding } from './finding.ts';
import { isTooLong, quotedTarget, shortened, targetText, tooLongText, type TargetName } from './identifiers.ts';

/** Names that Postgres would cut; two of them could become one. */
export function checkNames(name: TargetName, schema: TableSchema, where: string): Finding[] {
  const long = [name.schema, name.table].find(isTooLong);
  const short = { schema: shortened(name.schema), table: shortened(name.table) };
  const table =
    long === undefined
      ? []
      : [finding('error', 'TARGET_TABLE_MISSING', where, tooLongText(long), `to: ${JSON.stringify(quotedTarget(short))}`)];
  const columns = schema.columns
    .filter((column) => isTooLong(column.name))
    .map((column) => {
      const fix = `transforms: [{ rename: { ${JSON.stringify(column.name)}: ${JSON.stringify(shortened(column.name))} } }]`;
      return finding('error', 'TARGET_COLUMN_MISSING', where, tooLongText(column.name), fix);
    });
  return [...table, ...columns];
}

const kinds: Readonly<Record<string, string>> = { v: 'a view', m: 'a materialized view', f: 'a foreign table', S: 'a sequence' };

export function checkTableKind({ kind, name, isRowSecure }: TargetTable, where: string): Finding[] {
  if (kind !== 'r' && kind !== 'p') {
    const message = `${targetText(name)} is ${kinds[kind] ?? 'no table'} in the target; rows are written to tables only`;
    return [finding('error', 'TARGET_TABLE_MISSING', where, message)];
  }
  if (!isRowSecure) return [];
  const message = `row security is in force on ${targetText(name)}: rows that this user does not see would be neither changed nor deleted`;
  return [finding('error', 'TARGET_PRIVILEGE', where, message, `ALTER TABLE ${quotedTarget(name)} DISABLE ROW LEVEL SECURITY;`)];
}

const columnsMax = 1_600;
const pageBytesMax = 8_160;
const rowHeadBytes = 24;
/** A value that is stored elsewhere leaves so much in the row. */
const pointerBytes = 18;
const fixedBytes: Readonly<Record<string, number>> = {
  bool: 1,
  int2: 2,
  int4: 4,
  int8: 8,
  float4: 4,
  float8: 8,
  date: 4,
  time: 8,
  timestamp: 8,
  timestamptz: 8,
  interval: 16,
  uuid: 16,
};

/** MySQL's tables can be wider than Postgres'. `table` undefined: there is none yet. */
export function checkWidth(table: TargetTable | undefined, schema: TableSchema, where: string): Finding[] {
  const columns = table ? [...table.columns.values()] : [];
  const count = Math.max(columns.length, schema.columns.length);
  const project = 'Leave columns out with a `project` transform.';
  if (count > columnsMax)
    return [
      finding('error', 'TARGET_COLUMN_MISSING', where, `the table has ${count} columns, and Postgres takes ${columnsMax}. ${project}`),
    ];
  const bytes = columns.reduce((sum, { base }) => sum + (fixedBytes[base] ?? pointerBytes), rowHeadBytes + Math.ceil(count / 8));
  if (bytes <= pageBytesMax) return [];
  const message = `a row of ${targetText(table?.name ?? { schema: '', table: '' })} with a long value in each of its ${count} columns would not fit a page of 8 kB, and is refused. ${project}`;
  return [finding('warning', 'TARGET_COLUMN_TYPE', where, message)];
}
