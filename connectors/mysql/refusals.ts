/** Statements that change rows without row events: on captured tables they stop the stream, before anything is lost. */
import { tableName } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { StatementMeaning } from './statement.ts';

/** `mapped` holds `db.table`; letters count as equal in both cases, since servers differ: a stop too many is only a nuisance. */
export function refuseStatement(meaning: StatementMeaning, mapped: ReadonlySet<string>, place: string): void {
  if (meaning.kind === 'unknown') {
    throw unsupported(
      `${meaning.what}, written as a statement`,
      place,
      'Run on the source: SET PERSIST binlog_format = ROW; and end the sessions that set another format. Then start a new pipeline.',
    );
  }
  if (meaning.kind !== 'destroys') return;
  const folded = new Map([...mapped].map((name) => [name.toLowerCase(), name]));
  const ofDatabase = meaning.database === undefined ? undefined : tableName({ database: meaning.database, table: '' }).toLowerCase();
  const hit =
    meaning.tables.map((table) => folded.get(tableName(table).toLowerCase())).find((name) => name !== undefined) ??
    (ofDatabase === undefined ? undefined : [...folded].find(([name]) => name.startsWith(ofDatabase))?.[1]);
  if (hit === undefined) return;
  throw unsupported(
    `${meaning.what} on ${hit}`,
    place,
    `It changes the rows of ${hit} without row events, which is not carried yet. Do the same in the targets, then start a new pipeline.`,
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
