/** Foreign keys of the target that change rows of their own when a parent goes or gets another key. */
import type { Finding } from '../../src/core/ports.ts';
import { finding } from './finding.ts';
import { quote, quotedTarget, targetText, type TargetName } from './identifiers.ts';
import type { Session } from './session.ts';

const intoQuery = `
SELECT c.conname, n.nspname, r.relname, c.confdeltype, pg_get_constraintdef(c.oid)
FROM pg_constraint c
JOIN pg_class r ON r.oid = c.conrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND c.conparentid = 0
ORDER BY n.nspname, r.relname, c.conname`;

/** What `confdeltype` says about a parent's delete, where it changes the children. */
const cascades: Readonly<Record<string, string>> = { c: 'ON DELETE CASCADE', n: 'ON DELETE SET NULL', d: 'ON DELETE SET DEFAULT' };

/**
 * What points at this mapped table. Its key may change together with its children's (ON UPDATE CASCADE in the source): the
 * delete of the old key then waits until the children have moved. But what cascades is done at once, and cannot wait.
 */
export async function checkForeignKeys(session: Session, parent: TargetName, where: string): Promise<Finding[]> {
  const rows = await session.query(`reading the foreign keys into ${targetText(parent)}`, intoQuery, [quotedTarget(parent)]);
  return rows.flatMap(([name, schema, table, onDelete, definition]): Finding[] => {
    const child = { schema: schema ?? '', table: table ?? '' };
    const constraint = quote(name ?? '');
    const cascade = cascades[onDelete ?? ''];
    if (cascade === undefined) return [];
    const message = `foreign key "${name}" of ${targetText(child)} is ${cascade}: a key of ${targetText(parent)} that changes is written as a delete and an insert, and the delete changes the rows that point at it; what the source does not write again of them is lost`;
    return [finding('warning', 'TARGET_CONSTRAINT', where, message, withoutCascade(child, constraint, definition ?? ''))];
  });
}

/** The same foreign key, which then refuses what it would have cascaded; unless its rows follow within the transaction. */
function withoutCascade(child: TargetName, constraint: string, definition: string): string {
  const plain = definition
    .replace(/ ON DELETE (CASCADE|SET NULL|SET DEFAULT)( \([^)]*\))?/, '')
    .replace(/ (NOT )?DEFERRABLE| INITIALLY (DEFERRED|IMMEDIATE)/g, '');
  return `ALTER TABLE ${quotedTarget(child)} DROP CONSTRAINT ${constraint}, ADD CONSTRAINT ${constraint} ${plain.replace(/ NOT VALID$/, '')} DEFERRABLE INITIALLY IMMEDIATE;`;
}
