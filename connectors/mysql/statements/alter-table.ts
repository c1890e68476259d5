/**
 * What an ALTER TABLE does to rows that are there already. No row event tells of it, so only clauses of a closed list pass:
 * those that change no value and no key.
 */
import type { TableId } from '../../../src/core/change.ts';
import { isReadable, splitAtCommas, TokenReader } from './sql-tokens.ts';

/** One clause: harmless, harmless as long as the table has a primary key, or not harmless, in words for a message. */
type Clause = 'harmless' | { readonly index: string } | { readonly stop: string; readonly otherTable?: TableId };

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

const columnTypes = words(
  'TINYINT SMALLINT MEDIUMINT INT INTEGER BIGINT DECIMAL DEC NUMERIC FIXED FLOAT DOUBLE REAL BIT BOOL BOOLEAN DATE TIME DATETIME TIMESTAMP YEAR CHAR CHARACTER VARCHAR NATIONAL NCHAR NVARCHAR BINARY VARBINARY TINYBLOB BLOB MEDIUMBLOB LONGBLOB TINYTEXT TEXT MEDIUMTEXT LONGTEXT ENUM SET JSON GEOMETRY POINT LINESTRING POLYGON MULTIPOINT MULTILINESTRING MULTIPOLYGON GEOMETRYCOLLECTION VECTOR UUID INET4 INET6',
);
const columnWords = words('UNSIGNED SIGNED ZEROFILL PRECISION VARYING CHAR CHARACTER VARCHAR BINARY ASCII UNICODE VISIBLE INVISIBLE FIRST');
/** Table options that are about storage, or about what is made later. */
const options = words(
  'COMMENT AUTO_INCREMENT ALGORITHM LOCK ROW_FORMAT KEY_BLOCK_SIZE STATS_PERSISTENT STATS_AUTO_RECALC STATS_SAMPLE_PAGES AVG_ROW_LENGTH MAX_ROWS MIN_ROWS CHECKSUM DELAY_KEY_WRITE PACK_KEYS COMPRESSION ENCRYPTION CHARSET COLLATE AUTOEXTEND_SIZE PAGE_COMPRESSED PAGE_COMPRESSION_LEVEL PAGE_CHECKSUM ENCRYPTED ENCRYPTION_KEY_ID TRANSACTIONAL',
);
const partitionWork = words('ADD REORGANIZE REBUILD OPTIMIZE ANALYZE CHECK COALESCE');

/** `tokens`: what follows the table's name. The worst clause decides, and before all one that touches another table too. */
export function alterTable(tokens: readonly string[], database: string): Clause {
  const clauses = splitAtCommas(tokens.at(-1) === ';' ? tokens.slice(0, -1) : tokens).map((clause) =>
    clauseOf(new TokenReader(clause), database),
  );
  const moves = clauses.find((clause) => typeof clause === 'object' && 'otherTable' in clause);
  if (!moves && !isReadable(tokens)) return { stop: 'with a backslash in a text, which cannot be read for certain' };
  return moves ?? worst(clauses);
}

const worst = (clauses: readonly Clause[]): Clause =>
  clauses.find((clause) => typeof clause === 'object' && 'stop' in clause) ?? clauses.find((clause) => clause !== 'harmless') ?? 'harmless';

function clauseOf(clause: TokenReader, database: string): Clause {
  const first = clause.word;
  const second = clause.tokens[1]?.toUpperCase() ?? '';
  if (clause.takes('EXCHANGE', 'PARTITION')) return exchange(clause, database);
  if (first === 'CONVERT' && (second === 'PARTITION' || second === 'TABLE')) return conversion(clause, database);
  if (second === 'PARTITION' && first !== '') return partitionWork.has(first) ? 'harmless' : { stop: `${keyword(first)} PARTITION` };
  if (clause.takes('ADD')) return addition(clause);
  if (clause.takes('DROP')) return removal(clause);
  if (clause.takes('RENAME')) return renaming(clause, database);
  if (clause.takes('ALTER')) return alteration(clause);
  if (clause.takes('PARTITION', 'BY') || clause.takes('REMOVE', 'PARTITIONING')) return 'harmless';
  if (clause.takes('CONVERT', 'TO')) return { stop: 'CONVERT TO CHARACTER SET' };
  return tableOptions(clause);
}

/** Never a name or a value: only what looks like a word of SQL. */
const keyword = (word: string): string => (/^[A-Z_]+$/.test(word) ? word : 'a clause that cannot be read');

function addition(clause: TokenReader): Clause {
  if (clause.takes('CONSTRAINT') && !/^(?:PRIMARY|UNIQUE|FOREIGN|CHECK)$/.test(clause.word)) clause.take();
  switch (clause.word) {
    case 'PRIMARY':
      return { stop: 'ADD PRIMARY KEY' };
    case 'UNIQUE':
      return { index: 'ADD UNIQUE' };
    case 'INDEX':
    case 'KEY':
    case 'FULLTEXT':
    case 'SPATIAL':
    case 'CHECK':
      return 'harmless';
    case 'FOREIGN':
      // Most servers do not write to the binlog what such a rule does to rows.
      return clause.tokens.some((token, at) => /^ON$/i.test(token) && /^(?:CASCADE|SET)$/i.test(clause.tokens[at + 2] ?? ''))
        ? { stop: 'ADD FOREIGN KEY with CASCADE or SET NULL' }
        : 'harmless';
  }
  clause.takes('COLUMN');
  clause.takes('IF', 'NOT', 'EXISTS');
  if (clause.word !== '(') return column(clause);
  const inside = clause.tokens.slice(clause.at + 1, -1);
  if (clause.tokens.at(-1) !== ')') return { stop: addColumn };
  const parts = splitAtCommas(inside).map((part) => addition(new TokenReader(part)));
  return worst(parts);
}

const addColumn = 'ADD COLUMN of a column that is not plainly nullable (NOT NULL, DEFAULT, generated, AUTO_INCREMENT)';

/** A column that is NULL in every row that is there. */
function column(clause: TokenReader): Clause {
  const stop = { stop: addColumn };
  if (clause.name() === undefined) return stop;
  const type = clause.word;
  if (!clause.takesAny(columnTypes)) return stop;
  let saysNull = false;
  let index = false;
  while (!clause.done) {
    if (clause.takes('DEFAULT', 'NULL') || clause.takes('NULL')) saysNull = true;
    else if (clause.takes('UNIQUE', 'KEY') || clause.takes('UNIQUE')) index = true;
    else if (clause.takes('CHARACTER', 'SET') || clause.takes('CHARSET') || clause.takes('COLLATE') || clause.takes('AFTER')) clause.take();
    else if (clause.takes('COMMENT')) {
      if (!/^['"]/.test(clause.take())) return stop;
    } else if (!clause.takesAny(columnWords) && !clause.bracket()) return stop;
  }
  // Without explicit_defaults_for_timestamp a TIMESTAMP is NOT NULL and the time of now.
  if (type === 'TIMESTAMP' && !saysNull) return { stop: 'ADD COLUMN of a TIMESTAMP that does not say NULL' };
  return index ? { index: 'ADD COLUMN … UNIQUE' } : 'harmless';
}

function removal(clause: TokenReader): Clause {
  const kind = clause.word;
  if (clause.takes('FOREIGN', 'KEY') || clause.takes('CHECK')) return 'harmless';
  if (clause.takes('PRIMARY')) return { stop: 'DROP PRIMARY KEY' };
  if (!clause.takes('INDEX') && !clause.takes('KEY') && !clause.takes('CONSTRAINT')) return { stop: 'DROP COLUMN' };
  clause.takes('IF', 'EXISTS');
  return clause.name()?.toUpperCase() === 'PRIMARY' ? { stop: 'DROP PRIMARY KEY' } : { index: `DROP ${kind}` };
}

/** A renamed column changes no value, but the targets know it by its old name. */
function renaming(clause: TokenReader, database: string): Clause {
  if (clause.takes('INDEX') || clause.takes('KEY')) return { index: 'RENAME INDEX' };
  if (clause.takes('COLUMN')) return { stop: 'RENAME COLUMN' };
  if (!clause.takes('TO') && !clause.takes('AS')) clause.takes('=');
  return { stop: 'RENAME', otherTable: clause.table(database) ?? { database, table: '' } };
}

/** Rows come from the other table and go there. */
function exchange(clause: TokenReader, database: string): Clause {
  clause.name();
  const other = clause.takes('WITH', 'TABLE') ? clause.table(database) : undefined;
  return { stop: 'EXCHANGE PARTITION', otherTable: other ?? { database, table: '' } };
}

/** MariaDB: a partition becomes a table, or a table becomes a partition. Its rows go with it. */
function conversion(clause: TokenReader, database: string): Clause {
  const fromTable = clause.takes('CONVERT', 'TABLE');
  if (!fromTable) {
    clause.takes('CONVERT', 'PARTITION');
    clause.name();
    clause.takes('TO', 'TABLE');
  }
  return { stop: fromTable ? 'CONVERT TABLE' : 'CONVERT PARTITION', otherTable: clause.table(database) ?? { database, table: '' } };
}

/** Defaults are for rows to come. */
function alteration(clause: TokenReader): Clause {
  if (/^(?:INDEX|CHECK|CONSTRAINT)$/.test(clause.word)) return 'harmless';
  clause.takes('COLUMN');
  clause.name();
  const known =
    clause.takes('DROP', 'DEFAULT') || clause.takes('SET', 'DEFAULT') || clause.takes('SET', 'VISIBLE') || clause.takes('SET', 'INVISIBLE');
  return known ? 'harmless' : { stop: 'ALTER COLUMN' };
}

/** One or more, with or without an equals sign. An empty clause is harmless too: ALTER TABLE t without anything. */
function tableOptions(clause: TokenReader): Clause {
  while (!clause.done) {
    const option = clause.word;
    if (clause.takes('FORCE') || clause.takes('WITH', 'VALIDATION') || clause.takes('WITHOUT', 'VALIDATION')) continue;
    if (clause.takes('ENABLE', 'KEYS') || clause.takes('DISABLE', 'KEYS')) continue;
    if (clause.takes('PARTITION', 'BY') || clause.takes('REMOVE', 'PARTITIONING')) return 'harmless';
    clause.takes('DEFAULT');
    if (clause.takes('ENGINE')) {
      clause.takes('=');
      // An engine without transactions keeps rows that are rolled back, which is known only from the start on.
      if (!/^['"]?INNODB['"]?$/.test(clause.word)) return { stop: 'ENGINE other than InnoDB' };
    } else if (clause.takes('CHARACTER', 'SET') || clause.takesAny(options)) clause.takes('=');
    else return { stop: keyword(option) };
    clause.take();
  }
  return 'harmless';
}
