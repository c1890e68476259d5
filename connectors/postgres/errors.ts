/** From what pg throws to ours. A server's message and detail can hold row values: only codes and names are copied. */
import { asCrossfadeError, CrossfadeError, type ErrorCode, type Fault } from '../../src/core/errors.ts';

export interface ErrorContext {
  /** `connecting to the target`, `writing shop.orders to public.orders`. */
  readonly doing: string;
}

interface Verdict {
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly what: string;
  readonly remedy: string;
}

const wait = 'Nothing to do if the server comes back; it is tried again. See the server’s own log.';
const unreachable = (what: string): Verdict => ({ code: 'TARGET_UNREACHABLE', fault: 'retry', what, remedy: wait });
const busy = (what: string): Verdict => ({
  code: 'TARGET_BUSY',
  fault: 'retry',
  what,
  remedy: 'It is tried again. If it persists, look for long transactions and locks in pg_stat_activity.',
});
const full: Verdict = {
  code: 'TARGET_FULL',
  fault: 'retry',
  what: 'the server has no room left',
  remedy: 'Give the server’s disk room; it goes on by itself.',
};
const refused = (what: string): Verdict => ({
  code: 'TARGET_VALUE_REFUSED',
  fault: 'poison',
  what,
  remedy:
    'Give the target’s column a type or a length that holds the value, then start again. Correcting the row in the source does not help by itself: the change with the old value comes first.',
});
const constraint = (what: string): Verdict => ({
  code: 'TARGET_CONSTRAINT',
  fault: 'fatal',
  what,
  remedy:
    'Drop or loosen the named constraint in the target, or delete there the row that is in the way and that the source no longer has; then start again. Correcting the row in the source does not help by itself: the change with the old value is in the log and comes first.',
});
const table: Verdict = {
  code: 'TARGET_TABLE_MISSING',
  fault: 'fatal',
  what: 'a table or schema does not exist',
  remedy: 'Run `crossfade check`: it prints the CREATE TABLE.',
};

/** By whole SQLSTATE first, then by its class. */
const byState: Readonly<Record<string, Verdict>> = {
  '25006': {
    code: 'TARGET_SETTING',
    fault: 'retry',
    what: 'the server is read-only (a standby?)',
    remedy: 'Point the service at the primary; it is tried again.',
  },
  '25P03': unreachable('the server ended a transaction that stood idle for too long'),
  '28000': {
    code: 'TARGET_AUTH',
    fault: 'fatal',
    what: 'the server refuses this user',
    remedy: 'Correct user, password, database or pg_hba.conf, then start again.',
  },
  '28P01': {
    code: 'TARGET_AUTH',
    fault: 'fatal',
    what: 'the server refuses this user or password',
    remedy: 'Correct user and password, then start again.',
  },
  '3D000': {
    code: 'TARGET_SETTING',
    fault: 'fatal',
    what: 'the database does not exist',
    remedy:
      'Create it (CREATE DATABASE on that server, as its administrator) or correct its name in the service’s URL; then `crossfade check` names the tables to create.',
  },
  '3F000': table,
  '42P01': table,
  '42501': {
    code: 'TARGET_PRIVILEGE',
    fault: 'fatal',
    what: 'a privilege is missing',
    remedy: 'Run `crossfade check`: it prints the GRANT.',
  },
  '42703': {
    code: 'TARGET_COLUMN_MISSING',
    fault: 'fatal',
    what: 'a column does not exist',
    remedy: 'Run `crossfade check`: it prints the ALTER TABLE.',
  },
  '42P10': {
    code: 'TARGET_KEY_MISSING',
    fault: 'fatal',
    what: 'no unique index covers exactly the key’s columns',
    remedy: 'Run `crossfade check`: it prints the statement.',
  },
  '42804': {
    code: 'TARGET_COLUMN_TYPE',
    fault: 'fatal',
    what: 'a column has another type than before',
    remedy: 'Run `crossfade check`, then start again.',
  },
  '53100': full,
  '55P03': busy('a lock was not granted in time'),
  '57014': busy('a statement took too long or was cancelled'),
  '57P01': unreachable('the server is shutting down or ended the connection'),
  '57P02': unreachable('the server crashed'),
  '57P03': unreachable('the server is starting up'),
  '40001': busy('a transaction could not be serialised'),
  '40P01': busy('the server broke a deadlock'),
  '21000': {
    code: 'TARGET_COLUMN_TYPE',
    fault: 'fatal',
    what: 'keys that differ in the log are one row in the target (or a trigger failed so)',
    remedy: 'Run `crossfade check`: it names key columns whose type or collation takes different values for equal.',
  },
  '23505': constraint('a unique constraint was violated'),
  '23503': constraint('a foreign key was violated'),
  '23502': constraint('a column that must not be null got null'),
  '23514': constraint('a check was violated'),
  '23P01': constraint('an exclusion was violated'),
};
const byClass: Readonly<Record<string, Verdict>> = {
  '08': unreachable('the connection failed'),
  '22': refused('a value does not fit its column'),
  '53': unreachable('the server is out of resources'),
  '54': refused(
    'a value, a row or a key is beyond the server’s limits (a row must fit a page of 8 kB but for long texts, a key a third of one)',
  ),
  '57': unreachable('the server was told to stop this connection'),
};

const network = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
  'ECONNABORTED',
  'ENETDOWN',
]);
const networkMessage = /timeout|terminated|connection ended|was closed|not queryable|Client was closed|socket/i;

/** Never throws. The driver's error is not kept as `cause` when its text can hold values: it would end in a log. */
export function postgresError(thrown: unknown, { doing }: ErrorContext): CrossfadeError {
  if (thrown instanceof CrossfadeError || !(thrown instanceof Error)) return asCrossfadeError(thrown);
  const state = sqlState(thrown);
  const verdict = state === undefined ? notFromServer(thrown) : (byState[state] ?? byClass[state.slice(0, 2)]);
  const { code, fault, what, remedy } = verdict ?? unknown;
  const origin = state === undefined ? errnoOf(thrown) : `SQLSTATE ${state}${namesOf(thrown)}`;
  return new CrossfadeError({ code, fault, message: `${doing}: ${what}${origin ? ` (${origin})` : ''}`, remedy });
}

const unknown: Verdict = {
  code: 'TARGET_FAILED',
  fault: 'fatal',
  what: 'the server answered something unforeseen',
  remedy: 'Look the SQLSTATE up in the server’s log at this time; nothing was lost, start again when it is mended.',
};

function notFromServer(error: Error): Verdict | undefined {
  const code = errnoOf(error);
  if (/SELF_SIGNED|CERT|ALTNAME|UNABLE_TO_|ERR_TLS|ERR_SSL/.test(code) || /does not support SSL/.test(error.message)) {
    return {
      code: 'TARGET_AUTH',
      fault: 'fatal',
      what: 'no trusted encrypted connection is possible',
      remedy: 'Give the server a certificate for this host name, or name its authority in `ca`.',
    };
  }
  if (network.has(code) || networkMessage.test(error.message)) return unreachable('the server cannot be reached');
  if (/password|SASL|SCRAM/i.test(error.message)) {
    return {
      code: 'TARGET_AUTH',
      fault: 'fatal',
      what: 'the server wants another kind of authentication',
      remedy: 'Give a password, or use scram-sha-256 in pg_hba.conf.',
    };
  }
  return undefined;
}

/** True when nothing more can be asked of this connection, and a commit under way may or may not have happened. */
export function isConnectionLost(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return true;
  const severity = field(thrown, 'severity');
  return sqlState(thrown) === undefined || severity === 'FATAL' || severity === 'PANIC';
}

/** The SQLSTATE of an error that the server sent. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || field(error, 'severity') === undefined) return undefined;
  return field(error, 'code');
}

function errnoOf(error: Error): string {
  const code = field(error, 'code');
  if (code !== undefined) return code;
  // Several addresses of one name were tried; Node hands all failures in one.
  return error instanceof AggregateError && error.errors[0] instanceof Error ? errnoOf(error.errors[0]) : '';
}

function namesOf(error: Error): string {
  const names = ['schema', 'table', 'column', 'constraint', 'dataType'].flatMap((name) => {
    const value = field(error, name);
    return value === undefined ? [] : [`${name} ${value}`];
  });
  return names.length === 0 ? '' : `, ${names.join(', ')}`;
}

function field(error: Error, name: string): string | undefined {
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
