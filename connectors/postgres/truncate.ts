/**
 * What a TRUNCATE of the source does in the target: a DELETE of all rows, in the transaction of the progress. TRUNCATE would
 * be faster, but locks readers out until the commit, shows an empty table to snapshots from before it, needs a privilege
 * more, and is refused where a foreign key points at the table, even when nothing does.
 */
import { invariant } from '../../src/core/assert.ts';
import { tableName } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import type { RowStep } from './row-steps.ts';
import { quote, quotedTarget, targetText, type TargetName } from './identifiers.ts';
import type { TablePlan } from './plan.ts';
import type { Plans } from './plans.ts';
import { statementTimeoutMs, type Session } from './session.ts';

/** A DELETE takes some seconds for a million rows; only a server that is gone takes longer than this. */
const emptyingTimeoutMs = 6 * 3_600_000;

/** What empties the tables of a barrier's entries. Throws where it would touch rows that are not the source table's. */
export async function emptyingSteps(session: Session, entries: readonly Entry[], plans: Plans): Promise<RowStep[]> {
  const steps: RowStep[] = [];
  for (const entry of entries) {
    invariant(entry.event.op === 'truncate', 'a barrier is a truncate');
    const plan = plans.of(entry);
    const other = plans.sharing(entry.mapping);
    if (other !== undefined) throw sharedTarget(plan, other);
    steps.push(...(await cascadeGuards(session, plan)), ...deleteAll(plan));
  }
  return steps;
}

function deleteAll({ title, name }: TablePlan): RowStep[] {
  return [
    { title, text: `SET LOCAL statement_timeout = ${emptyingTimeoutMs}` },
    { title, text: `DELETE FROM ${quotedTarget(name)}`, timeoutMs: emptyingTimeoutMs },
    { title, text: `SET LOCAL statement_timeout = ${statementTimeoutMs}` },
  ];
}

const cascadesQuery = `
SELECT c.conname, n.nspname, r.relname, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(r.oid, 'SELECT'),
       array_to_json(array(SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY k(num, n)
                           JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.n))::text
FROM pg_constraint c
JOIN pg_class r ON r.oid = c.conrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND c.conrelid <> c.confrelid AND c.confdeltype IN ('c', 'n', 'd') AND c.conparentid = 0
ORDER BY n.nspname, r.relname, c.conname`;

/**
 * MySQL empties no table that a foreign key in force points at; one of the target that cascades would take the children
 * along, silently. Each guard fails, in its place among the batch's steps, while there are children.
 */
async function cascadeGuards(session: Session, { title, name }: TablePlan): Promise<RowStep[]> {
  const rows = await session.query(`reading the foreign keys into ${targetText(name)}`, cascadesQuery, [quotedTarget(name)]);
  return rows.map(([constraint, schema, table, mayLook, columns]): RowStep => {
    const child = { schema: schema ?? '', table: table ?? '' };
    const guard = wouldCascade(title, constraint ?? '', child, mayLook === 't');
    if (mayLook !== 't') throw guard;
    const points = (JSON.parse(columns ?? '[]') as string[]).map((column) => `${quote(column)} IS NOT NULL`).join(' AND ');
    return { title, text: `SELECT 1 / (NOT EXISTS (SELECT 1 FROM ${quotedTarget(child)} WHERE ${points}))::int`, guard };
  });
}

function wouldCascade(title: string, constraint: string, child: TargetName, mayLook: boolean): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_CONSTRAINT',
    fault: 'fatal',
    message: `${title}: the source truncated the table; emptying it here would also change the rows of ${targetText(child)} that point at it (foreign key "${constraint}" with ON DELETE CASCADE, SET NULL or SET DEFAULT)${mayLook ? '' : ', if there are any: this user may not look'}`,
    remedy: `Remove those rows of ${targetText(child)} by hand, or drop the constraint (ALTER TABLE ${quotedTarget(child)} DROP CONSTRAINT ${quote(constraint)};), then start again.`,
  });
}

function sharedTarget({ title }: TablePlan, other: { readonly source: Parameters<typeof tableName>[0] }): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_CONSTRAINT',
    fault: 'fatal',
    message: `${title}: the source truncated the table, but ${tableName(other.source)} is written to the same target, and nothing tells their rows apart`,
    remedy: 'Give each of the two tables a target of its own (`to:`), then `crossfade rebuild` the service.',
  });
}
