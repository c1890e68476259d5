/** Foreign keys that are checked at every statement: no order of ours can keep a rule that holds only for the whole of a transaction. */
import type { Finding } from '../../src/core/ports.ts';
import { quote, quotedTarget, targetText, type TargetName } from './identifiers.ts';
import type { Session } from './session.ts';

const immediateQuery = `
SELECT c.conname, n.nspname, r.relname
FROM pg_constraint c
JOIN pg_class r ON r.oid = c.conrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND NOT c.condeferrable AND c.conparentid = 0
ORDER BY n.nspname, r.relname, c.conname`;

/**
 * What points at this mapped table: its key may change together with its children's (ON UPDATE CASCADE in the source), and
 * then delete, insert and the children's updates are right only together. The sink defers what the target lets it defer.
 */
export async function checkForeignKeys(session: Session, parent: TargetName, where: string): Promise<Finding[]> {
  const rows = await session.query(`reading the foreign keys into ${targetText(parent)}`, immediateQuery, [quotedTarget(parent)]);
  return rows.map(([name, schema, table]): Finding => {
    const child = { schema: schema ?? '', table: table ?? '' };
    return {
      level: 'warning',
      code: 'TARGET_CONSTRAINT',
      where,
      message: `foreign key "${name}" of ${targetText(child)} cannot wait for the end of a transaction: a key of ${targetText(parent)} that changes together with the rows pointing at it stops the service`,
      fix: `ALTER TABLE ${quotedTarget(child)} ALTER CONSTRAINT ${quote(name ?? '')} DEFERRABLE INITIALLY IMMEDIATE;`,
    };
  });
}
