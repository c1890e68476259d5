/** Statements that change rows without row events: on captured tables they stop the stream, before anything is lost. */
import { tableName, type TableId } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import { handwork } from './handwork.ts';
import type { StatementMeaning } from './statement.ts';

export interface Judged {
  /** `db.table` */
  readonly mapped: ReadonlySet<string>;
  /** Those of them without a primary key. */
  readonly unkeyed: ReadonlySet<string>;
  /** Those of them whose engine has no transactions. */
  readonly untransactional: ReadonlySet<string>;
  /** Names that differ only in case are the same. */
  readonly foldsNames: boolean;
  /** The session's default database. */
  readonly database: string;
  /** `file:offset` */
  readonly place: string;
}

/** Throws for what may have changed rows of captured tables. */
export function refuseStatement(meaning: StatementMeaning, judged: Judged): void {
  if (meaning.kind === 'unknown') refuseUnknown(meaning, judged);
  // A captured table whose columns are not known.
  if (meaning.kind === 'truncates') refuseDestruction({ kind: 'destroys', what: 'TRUNCATE TABLE', tables: [meaning.table] }, judged);
  if (meaning.kind === 'destroys') refuseDestruction(meaning, judged);
}

function refuseDestruction(meaning: StatementMeaning & { kind: 'destroys' }, judged: Judged): void {
  const concerned = { index: judged.unkeyed, repair: judged.untransactional, all: judged.mapped }[meaning.only ?? 'all'];
  const hit = hitBy(meaning, concerned, judged.foldsNames);
  if (hit === undefined) return;
  throw unsupported(
    `${meaning.what} on ${hit}`,
    judged.place,
    `It changes rows, columns or keys of ${hit} without row events, which is not carried yet. ${handwork(meaning.what)}`,
  );
}

/** The captured table that a statement concerns. */
function hitBy(
  { tables, database }: StatementMeaning & { kind: 'destroys' },
  mapped: ReadonlySet<string>,
  foldsNames: boolean,
): string | undefined {
  const hit = tables.map((table) => capturedName(table, mapped, foldsNames)).find((name) => name !== undefined);
  return hit ?? (database === undefined ? undefined : inDatabase(database, mapped, foldsNames));
}

/** How a table is named among the captured ones; undefined where it is none of them. */
export function capturedName(table: TableId, mapped: ReadonlySet<string>, foldsNames: boolean): string | undefined {
  const name = tableName(table);
  if (mapped.has(name) || !foldsNames) return mapped.has(name) ? name : undefined;
  return [...mapped].find((one) => one.toLowerCase() === name.toLowerCase());
}

function inDatabase(database: string, mapped: ReadonlySet<string>, foldsNames: boolean): string | undefined {
  const fold = (name: string) => (foldsNames ? name.toLowerCase() : name);
  const prefix = fold(tableName({ database, table: '' }));
  return [...mapped].find((name) => fold(name).startsWith(prefix));
}

/**
 * A statement that writes to one table passes when none of that table's whole database is captured. The table alone is not
 * enough: it may be a view of a captured one, or have triggers or foreign keys that reach one, and of their rows a statement
 * says nothing.
 */
function refuseUnknown({ what, writes }: StatementMeaning & { kind: 'unknown' }, { mapped, foldsNames, database, place }: Judged): void {
  if (writes && inDatabase(writes.database, mapped, foldsNames) === undefined) return;
  const on = writes ? ` on ${tableName(writes)}` : '';
  const chosen = database === '' ? 'no default database' : `default database ${database}`;
  throw unsupported(
    `${what}${on}, written as a statement (${chosen})`,
    place,
    'Run on the source: SET PERSIST binlog_format = ROW; (on MariaDB SET GLOBAL, and the line in its my.cnf) and end the sessions that set another format.',
  );
}

function unsupported(what: string, place: string, remedy: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_STATEMENT_UNSUPPORTED',
    fault: 'fatal',
    message: `the binlog holds ${what}, at ${place}`,
    remedy,
  });
}
