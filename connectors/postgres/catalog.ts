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
  /** Of a nondeterministic collation, which takes different texts for equal; undefined for all others. */
  readonly foldingCollation?: string;
}

/** What an upsert could name: complete, immediate, without expressions. */
export interface UniqueKey {
  readonly index: string;
  readonly columns: readonly string[];
  /** Some column of it has a nondeterministic collation, be it only in the index. */
  readonly isFolding: boolean;
}

export interface TargetTable {
  readonly name: TargetName;
  /** As pg_class has it: r a table, p a partitioned one, v a view, … */
  readonly kind: string;
  /** Row security hides rows from this user, or refuses them. */
  readonly isRowSecure: boolean;
  readonly columns: ReadonlyMap<string, TargetColumn>;
  readonly uniqueKeys: readonly UniqueKey[];
}

/** Of a domain over a domain, only the one that names lengths and digits has them, and each may forbid NULL. A default is copied when a domain is made. */
const columnsQuery = `
SELECT a.attname, b.typname, format_type(b.oid, -1), format_type(a.atttypid, a.atttypmod),
       b.typmod, b.typtype, b.typcategory,
       a.attnotnull OR b.isfilled, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated, a.attidentity, b.typdelim,
       CASE b.typtype WHEN 'e' THEN array_to_json(array(SELECT enumlabel FROM pg_enum WHERE enumtypid = b.oid ORDER BY enumsortorder))::text ELSE '[]' END,
       c.relkind, row_security_active(c.oid), (SELECT collname FROM pg_collation WHERE oid = a.attcollation AND NOT collisdeterministic)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_type t ON t.oid = a.atttypid
JOIN LATERAL (
  WITH RECURSIVE up AS (
    SELECT t.oid, t.typtype, t.typbasetype, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod, t.typnotnull AS isfilled
    UNION ALL
    SELECT n.oid, n.typtype, n.typbasetype, CASE WHEN up.typmod <> -1 OR n.typtype <> 'd' THEN up.typmod ELSE n.typtypmod END, up.isfilled OR n.typnotnull
    FROM up JOIN pg_type n ON n.oid = up.typbasetype WHERE up.typtype = 'd')
  SELECT p.*, up.typmod, up.isfilled FROM up JOIN pg_type p ON p.oid = up.oid WHERE up.typtype <> 'd') b ON true
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`;

const uniqueQuery = `
SELECT i.indexrelid::regclass::text,
       EXISTS (SELECT 1 FROM unnest(i.indcollation) o JOIN pg_collation l ON l.oid = o WHERE NOT l.collisdeterministic),
       array_to_json(array(SELECT a.attname FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(num, n)
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
    uniqueKeys: keys.map(([index, isFolding, names]) => ({
      index: index ?? '',
      isFolding: isFolding === 't',
      columns: JSON.parse(names ?? '[]') as string[],
    })),
  };
}

function readColumn(row: readonly (string | null)[]): TargetColumn {
  const [name, base, castType, shownType, typmod, kind, category, notNull, hasDefault, generated, identity, delimiter, labels] =
    row as string[];
  const foldingCollation = row[15] ?? null;
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
    ...(foldingCollation === null ? {} : { foldingCollation }),
  };
}

/** The unique indexes on exactly these columns: an upsert goes by all of them. */
export function uniqueKeysOn({ uniqueKeys }: TargetTable, key: readonly string[]): readonly UniqueKey[] {
  const wanted = [...key].sort().join('\0');
  return uniqueKeys.filter(({ columns }) => [...columns].sort().join('\0') === wanted);
}
