/** Rows from before a column was there: nothing that is in the log tells what the source has in them. */
import type { TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { TargetTable } from './catalog.ts';
import { makesNull } from './check-policies.ts';
import type { ValuePolicies } from './config.ts';
import { finding } from './finding.ts';
import { quote, quotedTarget, targetText } from './identifiers.ts';
import type { Session } from './session.ts';

/** The oldest rows lie in front, and a check must not take long on a large table. */
const rowsMax = 100_000;

/** NULL in the target where the source has none: a column that was added without its values. */
export async function checkOldRows(
  session: Session,
  table: TargetTable,
  { columns }: TableSchema,
  where: string,
  policies: ValuePolicies,
): Promise<Finding[]> {
  const asked = columns.filter(({ name, kind, nullable }) => {
    const target = table.columns.get(name);
    return !nullable && target !== undefined && !target.notNull && !target.generated && !makesNull(kind, policies.of(name));
  });
  if (asked.length === 0) return [];
  const target = quotedTarget(table.name);
  const [answers = []] = await session.query(
    `looking for rows without values in ${targetText(table.name)}`,
    `SELECT ${asked.map(({ name }) => `bool_or(${quote(name)} IS NULL)`).join(', ')} FROM (SELECT * FROM ${target} LIMIT ${rowsMax}) r`,
  );
  return asked
    .filter((_, index) => answers[index] === 't')
    .map(({ name }) => {
      const message = `column "${name}" is NULL in rows of ${targetText(table.name)}, and cannot be in the source: they were there before it, and lack the source's values`;
      const fix = [
        `-- UPDATE ${target} SET ${quote(name)} = … WHERE ${quote(name)} IS NULL; -- the source's values; then:`,
        `-- ALTER TABLE ${target} ALTER COLUMN ${quote(name)} SET NOT NULL;`,
      ].join('\n');
      return finding('warning', 'TARGET_COLUMN_MISSING', where, message, fix);
    });
}
