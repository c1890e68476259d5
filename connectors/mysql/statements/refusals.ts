/** Statements that change rows without row events: on captured tables they stop the stream, before anything is lost. */
import { tableName } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { StatementMeaning } from './statement.ts';

export interface Judged {
  /** `db.table`; letters count as equal in both cases, since servers differ: a stop too many is only a nuisance. */
  readonly mapped: ReadonlySet<string>;
  /** Those of them without a primary key. */
  readonly unkeyed: ReadonlySet<string>;
  /** The session's default database. */
  readonly database: string;
  /** `file:offset` */
  readonly place: string;
}

/** Throws for what may have changed rows of captured tables. */
export function refuseStatement(meaning: StatementMeaning, judged: Judged): void {
  if (meaning.kind === 'unknown') refuseUnknown(meaning, judged);
  // A captured table whose name is written with other letters, or whose columns are not known.
  if (meaning.kind === 'truncates') refuseDestruction({ kind: 'destroys', what: 'TRUNCATE TABLE', tables: [meaning.table] }, judged);
  if (meaning.kind === 'destroys') refuseDestruction(meaning, judged);
}

function refuseDestruction(meaning: StatementMeaning & { kind: 'destroys' }, judged: Judged): void {
  const hit = hitBy(meaning, meaning.index ? judged.unkeyed : judged.mapped);
  if (hit === undefined) return;
  throw unsupported(
    `${meaning.what} on ${hit}`,
    judged.place,
    `It changes rows, columns or keys of ${hit} without row events, which is not carried yet: it must be done in the targets by hand.`,
  );
}

/** The captured table that a statement concerns. */
function hitBy({ tables, database }: StatementMeaning & { kind: 'destroys' }, mapped: ReadonlySet<string>): string | undefined {
  const folded = new Map([...mapped].map((name) => [name.toLowerCase(), name]));
  const hit = tables.map((table) => folded.get(tableName(table).toLowerCase())).find((name) => name !== undefined);
  return hit ?? (database === undefined ? undefined : inDatabase(database, mapped));
}

const inDatabase = (database: string, mapped: ReadonlySet<string>): string | undefined => {
  const prefix = tableName({ database, table: '' }).toLowerCase();
  return [...mapped].find((name) => name.toLowerCase().startsWith(prefix));
};

/**
 * A statement that writes to one table passes when none of that table's whole database is captured. The table alone is not
 * enough: it may be a view of a captured one, or have triggers or foreign keys that reach one, and of their rows a statement
 * says nothing.
 */
function refuseUnknown({ what, writes }: StatementMeaning & { kind: 'unknown' }, { mapped, database, place }: Judged): void {
  if (writes && inDatabase(writes.database, mapped) === undefined) return;
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
