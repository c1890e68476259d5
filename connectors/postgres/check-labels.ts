/** CHECK constraints that list an ENUM's labels: asked with every label, since the source's list may have grown. */
import type { ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { TargetTable } from './catalog.ts';
import { labelsCondition } from './ddl.ts';
import { finding } from './finding.ts';
import { quote, quotedTarget, targetText } from './identifiers.ts';
import { arrayLiteral } from './literals.ts';
import type { Session } from './session.ts';

const checksQuery = `
SELECT c.conname, a.attname, pg_get_expr(c.conbin, c.conrelid)
FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'c' AND c.conrelid = to_regclass($1) AND cardinality(c.conkey) = 1
ORDER BY c.conname`;

export async function checkLabels(session: Session, table: TargetTable, schema: TableSchema, where: string): Promise<Finding[]> {
  const enums = new Map(schema.columns.filter(({ kind, labels }) => kind === 'enum' && labels).map((column) => [column.name, column]));
  if (enums.size === 0) return [];
  const target = quotedTarget(table.name);
  const rows = await session.query(`reading the checks of ${targetText(table.name)}`, checksQuery, [target]);
  const findings: Finding[] = [];
  for (const [constraint, name, expression] of rows) {
    const column = enums.get(name ?? '');
    const type = table.columns.get(name ?? '')?.castType;
    if (!column || type === undefined) continue;
    const refused = await refusedLabels(session, column, type, expression ?? '');
    if (refused.length === 0) continue;
    const message = `check "${constraint}" of ${targetText(table.name)} refuses the labels ${refused.map((label) => `"${label}"`).join(', ')} of column "${name}"`;
    const named = quote(constraint ?? '');
    const fix = `ALTER TABLE ${target} DROP CONSTRAINT ${named}, ADD CONSTRAINT ${named} CHECK ${labelsCondition(column)};`;
    findings.push(finding('warning', 'TARGET_CONSTRAINT', where, message, fix));
  }
  return findings;
}

/** As an INSERT would ask; in a transaction that cannot write, whatever a function in the expression may do. */
async function refusedLabels(session: Session, column: ColumnSchema, type: string, expression: string): Promise<string[]> {
  const text = `SELECT label FROM (SELECT u AS label, u::${type} AS ${quote(column.name)} FROM unnest($1::text[]) u) t WHERE NOT (${expression})`;
  const ask = { text, values: [arrayLiteral(column.labels ?? [])] };
  try {
    const results = await session.run([{ text: 'BEGIN READ ONLY' }, ask, { text: 'ROLLBACK' }]);
    return (results[1]?.rows ?? []).map(([label]) => label ?? '');
  } catch {
    // Not every condition can be asked alone, and a label that the type lacks is another finding.
    await session.run([{ text: 'ROLLBACK' }]).catch(() => undefined);
    return [];
  }
}
