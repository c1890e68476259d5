/** Rows into the parameters of a statement, or into the rows of a COPY. */
import { invariant } from '../../src/core/assert.ts';
import type { ColumnSchema, Row, Value } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { TargetColumn } from './catalog.ts';
import { spelledStatement } from './ddl.ts';
import { quotedTarget } from './identifiers.ts';
import { arrayLiteral, copyCell } from './literals.ts';
import type { PlannedColumn, TablePlan } from './plan.ts';
import { Refused } from './policy.ts';

/** One array a column. Throws errors that name the column where a value is refused. */
export function columnArrays(plan: TablePlan, columns: readonly PlannedColumn[], rows: readonly Row[]): (string | Buffer)[] {
  return columns.map((column) => {
    const { toText, toBytes } = column;
    if (toBytes) return byteaArray(rows.map((row) => cell(plan, column, row, toBytes)));
    return arrayLiteral(rows.map((row) => cell(plan, column, row, toText)));
  });
}

/** The values of one row; a large one is on its way to the server only once more then. */
export function rowValues(plan: TablePlan, row: Row): (string | Buffer | null)[] {
  return plan.columns.map((column) => {
    const { toText, toBytes } = column;
    return toBytes ? cell(plan, column, row, toBytes) : cell(plan, column, row, toText);
  });
}

const byteaOid = 17;

/** An array of bytea in the server's binary form: dimensions, element type, then each element behind its length. */
export function byteaArray(cells: readonly (Buffer | null)[]): Buffer {
  const bytes = Buffer.allocUnsafe(cells.reduce((sum, one) => sum + 4 + (one?.length ?? 0), 20));
  const head = [1, cells.includes(null) ? 1 : 0, byteaOid, cells.length, 1];
  let at = 0;
  for (const number of head) at = bytes.writeInt32BE(number, at);
  for (const one of cells) {
    at = bytes.writeInt32BE(one?.length ?? -1, at);
    if (one) at += one.copy(bytes, at);
  }
  return bytes;
}

export function copyText(plan: TablePlan, rows: readonly Row[]): Buffer {
  const { columns } = plan;
  let text = '';
  for (const row of rows) {
    for (let index = 0; index < columns.length; index += 1) {
      const column = columns[index] as PlannedColumn;
      if (index > 0) text += '\t';
      text += copyCell(cell(plan, column, row, column.toText));
    }
    text += '\n';
  }
  return Buffer.from(text, 'utf8');
}

function cell<T>(plan: TablePlan, column: PlannedColumn, row: Row, write: (value: Exclude<Value, null>) => T | null): T | null {
  const value = row[column.source.name];
  invariant(value !== undefined, `a row of ${plan.title} lacks its column ${column.source.name}`);
  return converted(plan, column, value, write);
}

/** Throws an error that names the column where the value is refused. */
export function converted<T>(
  plan: TablePlan,
  { source, target }: PlannedColumn,
  value: Value,
  write: (value: Exclude<Value, null>) => T | null,
): T | null {
  if (value === null) return null;
  try {
    return write(value);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new CrossfadeError({
      code: 'TARGET_VALUE_REFUSED',
      fault: 'poison',
      message: `${plan.title}: column "${source.name}" (${source.type} → ${target.shownType}): ${error.message}`,
      remedy: isPolicyOfKey(plan, source, error) ? keyRemedy(plan, source, target) : error.remedy,
    });
  }
}

/** No policy is applied to a key, so no remedy may name one. */
const isPolicyOfKey = ({ key }: TablePlan, { name }: ColumnSchema, { namesPolicy }: Refused) =>
  namesPolicy && key.some(({ source }) => source.name === name);

function keyRemedy({ name }: TablePlan, source: ColumnSchema, target: TargetColumn): string {
  const statement = spelledStatement(quotedTarget(name), source, target);
  const way =
    statement === undefined
      ? 'Take the table out of this service: Postgres has no type that holds this value.'
      : `Give the column a type that holds every value: ${statement} Then start again.`;
  return `The column is part of the key, where no setting of \`values\` is applied: two rows could become one. ${way}`;
}
