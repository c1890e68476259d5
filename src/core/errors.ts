/**
 * One error for everything that can go wrong, so that one loop and one runbook can deal with it.
 *
 * `fault` says who acts: `retry` = the loop, after a back-off; `poison` = this change can never be applied as it
 * is; `fatal` = a person. The unknown is fatal: a connector that does not recognise a driver's error must not guess.
 */
export type Fault = 'retry' | 'poison' | 'fatal';

/** Every code has a heading in docs/runbook.md; test/tidy.test.ts holds the two together. */
export const errorCodes = [
  // configuration and command line
  'CONFIG_INVALID',
  'CONFIG_UNREADABLE',
  'USAGE',
  // source
  'SOURCE_UNREACHABLE',
  'SOURCE_AUTH',
  'SOURCE_PRIVILEGE',
  'SOURCE_SETTING',
  'SOURCE_POSITION_PURGED',
  'SOURCE_POSITION_INVALID',
  'SOURCE_HISTORY_DIVERGED',
  'SOURCE_SERVER_CHANGED',
  'SOURCE_SERVER_ID_TAKEN',
  'SOURCE_SILENT',
  'SOURCE_XA_OPEN',
  'SOURCE_EVENT_UNKNOWN',
  'SOURCE_EVENT_UNSUPPORTED',
  'SOURCE_EVENT_CORRUPT',
  'SOURCE_STATEMENT_UNSUPPORTED',
  'SOURCE_TYPE_UNSUPPORTED',
  'SOURCE_VALUE_INVALID',
  'SOURCE_ROW_TOO_LARGE',
  'SOURCE_ROW_INCOMPLETE',
  'SOURCE_TABLE_MISSING',
  'SOURCE_TABLE_KEYLESS',
  'SOURCE_FAILED',
  // log
  'LOG_UNREACHABLE',
  'LOG_AUTH',
  'LOG_PRIVILEGE',
  'LOG_SETTING',
  'LOG_HELD',
  'LOG_FENCED',
  'LOG_CORRUPT',
  'LOG_LOST_HISTORY',
  'LOG_TAIL_NOT_MET',
  'LOG_PARTITIONS_CHANGED',
  'LOG_FULL',
  'LOG_RECORD_TOO_LARGE',
  'LOG_FAILED',
  'LOG_SCHEMA_MISSING',
  'ENVELOPE_INVALID',
  // targets
  'TARGET_UNREACHABLE',
  'TARGET_AUTH',
  'TARGET_BUSY',
  'TARGET_PRIVILEGE',
  'TARGET_SETTING',
  'TARGET_TABLE_MISSING',
  'TARGET_COLUMN_MISSING',
  'TARGET_COLUMN_TYPE',
  'TARGET_KEY_MISSING',
  'TARGET_FENCED',
  'TARGET_PROGRESS_LOST',
  'TARGET_PROGRESS_FOREIGN',
  'TARGET_MAPPING_CHANGED',
  'TARGET_VALUE_REFUSED',
  'TARGET_CONSTRAINT',
  'TARGET_FULL',
  'TARGET_FAILED',
  // transforms
  'TRANSFORM_INVALID',
  // health and alerts
  'HTTP_LISTEN',
  'ALERT_UNDELIVERED',
  // ourselves
  'STOP_CUT_SHORT',
  'INVARIANT',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface ErrorDetails {
  readonly code: ErrorCode;
  readonly fault: Fault;
  /** What happened and where; kinds of values, never values, never a DSN. */
  readonly message: string;
  /** What a person does now; one or two sentences, with the exact statement where there is one. */
  readonly remedy: string;
  readonly cause?: unknown;
  readonly scope?: string;
}

export class CrossfadeError extends Error {
  override readonly name = 'CrossfadeError';
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly remedy: string;
  /** What failed, where a part has several things in hand (a partition): progress elsewhere does not end its streak. */
  readonly scope: string | undefined;

  constructor(details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.fault = details.fault;
    this.remedy = details.remedy;
    this.scope = details.scope;
  }

  /** The same error, known to be of this partition. */
  of(scope: string): CrossfadeError {
    const { code, fault, message, remedy, cause } = this;
    return new CrossfadeError({ code, fault, message, remedy, cause, scope });
  }
}

/** Whatever was thrown, as ours. A stranger's error is fatal: it was not foreseen, so nobody knows that going on is safe. */
export function asCrossfadeError(thrown: unknown): CrossfadeError {
  if (thrown instanceof CrossfadeError) return thrown;
  return new CrossfadeError({
    code: 'INTERNAL',
    fault: 'fatal',
    message: `unforeseen error: ${strangerText(thrown)}`,
    remedy: 'Nothing was lost: the last durable position stands. Report this with the log, then start again.',
    cause: thrown,
  });
}

/** A driver's or Node's own text may quote a value or an address, so only its name and code are told; the engine's plain errors name properties of ours. */
function strangerText(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `a ${typeof thrown} was thrown`;
  const ours = !('code' in thrown) && ['TypeError', 'ReferenceError', 'RangeError'].includes(thrown.name);
  return ours ? `${thrown.name}: ${thrown.message}` : nameAndCode(thrown);
}

/** What may be told of any error: its name and its code. */
export function nameAndCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const code = 'code' in thrown && /^[A-Za-z0-9_-]{1,60}$/.test(String(thrown.code)) ? ` ${String(thrown.code)}` : '';
  return `${thrown.name}${code}`;
}
