/** From SQLite's errors to ours, in one place. What is not known here is fatal: going on could lose what was promised. */
import { CrossfadeError, type ErrorCode, type Fault } from '../../src/core/errors.ts';
import { logFull } from '../../src/core/log-errors.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly what: string;
  readonly remedy: string;
}

const busy: Meaning = {
  code: 'LOG_HELD',
  fault: 'retry',
  what: 'another process holds its write lock and does not let go',
  remedy:
    'Find it with `fuser` on the file. A frozen or suspended process must be ended before this one can go on; it is tried again until then.',
};
/**
 * Between the two copies of the index's head: whoever looks sees that they differ, and cannot mend it while the writer lives.
 * SQLite looks for 10 s. A pause of microseconds as a rule; chaos met one that was frozen there.
 */
const halfWritten: Meaning = {
  ...busy,
  what: 'another process stands still in the middle of a write, and until it goes on or ends nobody can read',
};
const damaged: Meaning = {
  code: 'LOG_CORRUPT',
  fault: 'fatal',
  what: 'the file is damaged',
  remedy:
    'Nothing was applied from the damaged place. Restore the file from a backup, or rebuild the services from a new log (see the runbook).',
};
const cannotOpen: Meaning = {
  code: 'LOG_UNREACHABLE',
  fault: 'retry',
  what: 'the file cannot be opened',
  remedy: 'Its directory must exist and this user must be allowed to write there; it is tried again until then.',
};
const readOnly: Meaning = {
  code: 'LOG_UNREACHABLE',
  fault: 'fatal',
  what: 'the file or its directory cannot be written',
  remedy: 'Give this user write permission on the file and its directory, and see that the file system is not mounted read-only.',
};
const ioFailed: Meaning = {
  code: 'LOG_FAILED',
  fault: 'fatal',
  what: 'the operating system could not read or write it',
  remedy: 'Look at the disk and the system log before starting again. What was acknowledged stands.',
};
const tooLarge: Meaning = {
  code: 'LOG_RECORD_TOO_LARGE',
  fault: 'fatal',
  what: 'one batch is larger than the file format allows (1 GB)',
  remedy: 'A row of this size cannot be carried. Leave its table out, or make the row smaller in the source.',
};

/** SQLite's primary result codes: https://www.sqlite.org/rescode.html */
const meanings: ReadonlyMap<number, Meaning> = new Map([
  [3, readOnly],
  [5, busy],
  [6, busy],
  [8, readOnly],
  [10, ioFailed],
  [11, damaged],
  [14, cannotOpen],
  [15, halfWritten],
  [18, tooLarge],
  [23, readOnly],
  [26, damaged],
]);

const fullCode = 13;
const busyCodes: ReadonlySet<number> = new Set([5, 6]);

/** The primary code of a driver's error; undefined for anything else. */
function sqliteCode(thrown: unknown): number | undefined {
  const code = thrown instanceof Error && 'errcode' in thrown ? thrown.errcode : undefined;
  return typeof code === 'number' ? code & 255 : undefined;
}

export function isBusy(thrown: unknown): boolean {
  return busyCodes.has(sqliteCode(thrown) ?? -1);
}

/** The file holds something, but no database. */
export function isNoDatabase(thrown: unknown): boolean {
  return sqliteCode(thrown) === 26;
}

/** `where` names the file, or partition and offset. */
export function sqliteError(thrown: unknown, where: string): CrossfadeError {
  if (thrown instanceof CrossfadeError) return thrown;
  const code = sqliteCode(thrown);
  if (code === fullCode) return logFull(where, thrown);
  const meaning = code === undefined ? undefined : meanings.get(code);
  if (!meaning) {
    return new CrossfadeError({
      code: 'LOG_FAILED',
      fault: 'fatal',
      message: `the log failed at ${where}: ${thrown instanceof Error ? thrown.message : typeof thrown}`,
      remedy: 'This failure was not foreseen. What was acknowledged stands; report this with the log, then start again.',
      cause: thrown,
    });
  }
  const { what, ...rest } = meaning;
  return new CrossfadeError({ ...rest, message: `the log at ${where}: ${what}`, cause: thrown });
}

/** Runs one piece of work on the file; every driver's error leaves as ours. */
export function guarded<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw sqliteError(error, where);
  }
}
