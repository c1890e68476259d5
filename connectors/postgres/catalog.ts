/** What the target's tables look like to Postgres itself. */
import type { Session } from './session.ts';
import { quotedTarget, type TargetName } from './identifiers.ts';

export interface TargetColumn {
  readonly name: string;
  /** The base type's name in the catalog, domains resolved: `int4`, `varchar`, `_text`. */
  readonly base: string;
  /** How a cast spells the base type without any modifier; a cast with one would cut silently. */
  readonly castType: string;
  /** As `\d` shows it: `character varying(40)`. */
  readonly shownType: string;
  readonly typmod: number;
  readonly isEnum: boolean;
  /** Of an enum, in its order. */
  readonly labels: readonly string[];
  readonly isArray: boolean;
  /** Between the elements of an array of this type: a comma, but PostGIS' is a colon. */
  readonly delimiter: string;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  /** Computed by the target: never written. */
  readonly generated: boolean;
  /** GENERATED ALWAYS AS IDENTITY: takes a value only when told to override. */
  readonly identityAlways: boolean;
}

export interface TargetTable {
  readonly name: TargetName;
  /** As pg_class has it: r a table, p a partitioned one, v a view, … */
  readonly kind: string;
  /** Row security hides rows from this user, or refuses them. */
  readonly isRowSecure: boolean;
  readonly columns: ReadonlyMap<string, TargetColumn>;
  /** The columns of every unique index that an upsert could name: complete, immediate, without expressions. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

const columnsQuery = `
SELECT a.attname, b.typname, format_type(b.oid, -1), format_type(a.atttypid, a.atttypmod),
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, b.typtype, b.typcategory,
       a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated, a.attidentity, b.typdelim,
       CASE b.typtype WHEN 'e' THEN array_to_json(array(SELECT enumlabel FROM pg_enum WHERE enumtypid = b.oid ORDER BY enumsortorder))::text ELSE '[]' END,
       c.relkind, row_security_active(c.oid)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_type t ON t.oid = a.atttypid
JOIN LATERAL (
  WITH RECURSIVE up AS (
    SELECT t.oid, t.typtype, t.typbasetype
    UNION ALL SELECT n.oid, n.typtype, n.typbasetype FROM up JOIN pg_type n ON n.oid = up.typbasetype WHERE up.typtype = 'd')
  SELECT p.* FROM up JOIN pg_type p ON p.oid = up.oid WHERE up.typtype <> 'd') b ON true
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`;

const uniqueQuery = `
SELECT array_to_json(array(SELECT a.attname FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(num, n)
                           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY k.n))::text
FROM pg_index i
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL`;

/** undefined: there is no such table, or this user may not even know its schema. */
export async function readTable(session: Session, name: TargetName): Promise<TargetTable | undefined> {
  const doing = `reading the shape of ${name.schema}.${name.table}`;
  const rows = await session.query(doing, columnsQuery, [quotedTarget(name)]);
  if (rows.length === 0) return undefined;
  const keys = await session.query(doing, uniqueQuery, [quotedTarget(name)]);
  const columns = rows.map(readColumn);
  return {
    name,
    kind: rows[0]?.[13] ?? '',
    isRowSecure: rows[0]?.[14] === 't',
    columns: new Map(columns.map((column) => [column.name, column])),
    uniqueKeys: keys.map(([names]) => JSON.parse(names ?? '[]') as string[]),
  };
}

function readColumn(row: readonly (string | null)[]): TargetColumn {
  const [name, base, castType, shownType, typmod, kind, category, notNull, hasDefault, generated, identity, delimiter, labels] =
    row as string[];
  return {
    name: name ?? '',
    base: base ?? '',
    castType: castType ?? '',
    shownType: shownType ?? '',
    typmod: Number(typmod),
    isEnum: kind === 'e',
    labels: JSON.parse(labels ?? '[]') as string[],
    isArray: category === 'A',
    delimiter: delimiter ?? ',',
    notNull: notNull === 't',
    hasDefault: hasDefault === 't',
    generated: generated !== '',
    identityAlways: identity === 'a',
  };
}

export function hasUniqueKey({ uniqueKeys }: TargetTable, key: readonly string[]): boolean {
  const wanted = [...key].sort().join('\0');
  return uniqueKeys.some((names) => [...names].sort().join('\0') === wanted);
}
