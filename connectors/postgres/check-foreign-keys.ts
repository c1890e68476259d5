/** Foreign keys of the target that change rows of their own when a parent goes or gets another value. */
import type { TableId, TableSchema } from '../../src/core/change.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import { finding } from './finding.ts';
import { quote, quotedTarget, targetOf, targetText, type TargetName } from './identifiers.ts';
import type { Session } from './session.ts';

const intoQuery = `
SELECT c.conname, n.nspname, r.relname, c.confdeltype, c.confupdtype, pg_get_constraintdef(c.oid),
       array_to_json(array(SELECT a.attname FROM unnest(c.confkey) k(num) JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num))::text
FROM pg_constraint c
JOIN pg_class r ON r.oid = c.conrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND c.conparentid = 0
ORDER BY n.nspname, r.relname, c.conname`;

const actions: Readonly<Record<string, string>> = { c: 'CASCADE', n: 'SET NULL', d: 'SET DEFAULT' };

/** What carries the rows of one service. */
export interface Carried {
  readonly mappings: readonly Mapping[];
  /** Through which partitions a table of the source comes. */
  readonly partitionsOf: (source: TableId) => readonly PartitionId[];
}

/** A mapped table that foreign keys may point at. */
export interface ParentTable {
  readonly name: TargetName;
  readonly schema: Pick<TableSchema, 'key'>;
}

/**
 * What points at this mapped table. What cascades is done at once, whoever is ahead: where parents and children come through
 * different partitions, a delete of a parent takes along children that the source gave to its successor, and nothing brings
 * them back. In one partition that cannot be, but for a parent's key that changes together with its children's (ON UPDATE
 * CASCADE in the source): the delete of the old key waits until the children have moved, which what cascades cannot.
 */
export async function checkForeignKeys(session: Session, parent: ParentTable, where: string, carried: Carried): Promise<Finding[]> {
  const { name, schema } = parent;
  const rows = await session.query(`reading the foreign keys into ${targetText(name)}`, intoQuery, [quotedTarget(name)]);
  return rows.flatMap(([constraint = '', childSchema, childTable, onDelete, onUpdate, definition, columns]): Finding[] => {
    const child = { schema: childSchema ?? '', table: childTable ?? '' };
    const deletes = actions[onDelete ?? ''];
    // A key that changes is a delete and an insert, so only other columns are ever updated.
    const isOfKey = (JSON.parse(columns ?? '[]') as string[]).every((column) => schema.key.includes(column));
    const updates = isOfKey ? undefined : actions[onUpdate ?? ''];
    const said = [...(deletes === undefined ? [] : [`ON DELETE ${deletes}`]), ...(updates === undefined ? [] : [`ON UPDATE ${updates}`])];
    if (said.length === 0) return [];
    const head = `foreign key "${constraint}" of ${targetText(child)} is ${said.join(' ')}`;
    const fix = withoutActions(child, quote(constraint ?? ''), definition ?? '', updates !== undefined);
    if (areApart(name, child, carried)) return [finding('error', 'TARGET_CONSTRAINT', where, `${head}: ${apart(name, child)}`, fix)];
    if (deletes === undefined) return [];
    return [finding('warning', 'TARGET_CONSTRAINT', where, `${head}: ${together(name)}`, fix)];
  });
}

const apart = (parent: TargetName, child: TargetName) =>
  `rows of ${targetText(parent)} and ${targetText(child)} come through different partitions, so a change of a parent may come behind its children's, and would change or delete children that the source still has. Let the target refuse what it would cascade, or give both tables one stream of one partition (\`streams\`)`;
const together = (parent: TargetName) =>
  `a key of ${targetText(parent)} that changes is written as a delete and an insert, and the delete changes the rows that point at it; what the source does not write again of them is lost`;

/** Whether one of them may be ahead of the other. A child that nobody maps is the target's own, and has no such order. */
function areApart(parent: TargetName, child: TargetName, { mappings, partitionsOf }: Carried): boolean {
  const carrying = (name: TargetName) =>
    mappings.filter((mapping) => quotedTarget(targetOf(mapping)) === quotedTarget(name)).flatMap(({ source }) => partitionsOf(source));
  const children = carrying(child);
  return children.length > 0 && new Set([...children, ...carrying(parent)]).size > 1;
}

/** The same foreign key, which then refuses what it would have cascaded; unless its rows follow within the transaction. */
function withoutActions(child: TargetName, constraint: string, definition: string, alsoUpdates: boolean): string {
  const plain = definition
    .replace(/ ON DELETE (CASCADE|SET NULL|SET DEFAULT)( \([^)]*\))?/, '')
    .replace(alsoUpdates ? / ON UPDATE (CASCADE|SET NULL|SET DEFAULT)( \([^)]*\))?/ : '', '')
    .replace(/ (NOT )?DEFERRABLE| INITIALLY (DEFERRED|IMMEDIATE)/g, '');
  return `ALTER TABLE ${quotedTarget(child)} DROP CONSTRAINT ${constraint}, ADD CONSTRAINT ${constraint} ${plain.replace(/ NOT VALID$/, '')} DEFERRABLE INITIALLY IMMEDIATE;`;
}
