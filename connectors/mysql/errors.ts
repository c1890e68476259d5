/** From the driver's errors to ours: the one place. What is not listed is fatal. */
import { tableName, type TableId } from '../../src/core/change.ts';
import { CrossfadeError, type ErrorCode, type Fault } from '../../src/core/errors.ts';

interface DriverError {
  readonly code: string;
  readonly errno: number;
  readonly message: string;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function driverError(thrown: unknown): DriverError {
  const fields = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as { code?: unknown; errno?: unknown; message?: unknown };
  return { code: text(fields.code), errno: typeof fields.errno === 'number' ? fields.errno : 0, message: text(fields.message) };
}

/** The server or the way to it is gone, for now. */
const unreachableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'ERR_STREAM_WRITE_AFTER_END',
  'ERR_STREAM_DESTROYED',
  'ERR_SOCKET_CLOSED',
]);
/** Too many connections, server shutdown, killed, interrupted, lock and network trouble on the server's side. */
const unreachableNumbers = new Set([
  1040, 1042, 1053, 1077, 1078, 1079, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213, 1226, 1317, 1927, 2002, 2003, 2006, 2013,
  3032, 3168, 3169, 4031,
]);
const privilegeNumbers = new Set([1044, 1142, 1143, 1227, 1370]);
const tlsCodes = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HANDSHAKE_(NO_SSL|SSL)|EPROTO)/;

/** `doing` is what was tried, in words: `reading the binlog of db.internal:3306`. */
export function fromDriver(thrown: unknown, doing: string): CrossfadeError {
  if (thrown instanceof CrossfadeError) return thrown;
  const error = driverError(thrown);
  const make = (code: ErrorCode, fault: Fault, why: string, remedy: string) =>
    new CrossfadeError({ code, fault, message: `${doing}: ${why}`, remedy, cause: thrown });
  if (error.errno === 1236 || error.errno === mariadbSameId) return fromDump(error, make);
  if (error.errno === 1045 || error.errno === 1698 || error.errno === 3118 || error.errno === 1862) {
    return make(
      'SOURCE_AUTH',
      'fatal',
      'the server refused the user or the password',
      'Correct user and password under "source" in the configuration, then start again.',
    );
  }
  if (error.code === 'AUTH_SWITCH_PLUGIN_ERROR') {
    return make(
      'SOURCE_AUTH',
      'fatal',
      'the user logs in by a plugin that the driver does not know',
      'Give the user one that it knows: caching_sha2_password or sha256_password on MySQL, mysql_native_password on MariaDB (ALTER USER … IDENTIFIED VIA mysql_native_password USING PASSWORD(…)). Then start again.',
    );
  }
  if (privilegeNumbers.has(error.errno)) {
    return make(
      'SOURCE_PRIVILEGE',
      'fatal',
      'the user lacks a privilege',
      'Run "crossfade check": it names each missing privilege with its GRANT statement.',
    );
  }
  if (tlsCodes.test(error.code)) {
    return make(
      'SOURCE_AUTH',
      'fatal',
      `the TLS connection was not trusted (${error.code})`,
      'Give the right "tls.ca" and host name under "source", or the certificate that the server expects.',
    );
  }
  // mysql2 has no code for a question on a connection that died before it was asked.
  const closed = /in closed state|connection is closed/i.test(error.message);
  if (closed || unreachableCodes.has(error.code) || unreachableNumbers.has(error.errno)) {
    return make(
      'SOURCE_UNREACHABLE',
      'retry',
      `the server cannot be reached or went away (${error.code || error.errno})`,
      'Crossfade tries again by itself; if this lasts, look at the server and the network.',
    );
  }
  if (error.errno === 1220 && /could not find target log/i.test(error.message))
    return make('SOURCE_FAILED', 'retry', 'a binlog file was deleted while we asked about it', 'Crossfade tries again by itself.');
  return make(
    'SOURCE_FAILED',
    'fatal',
    `the server or driver failed in a way that is not foreseen (${error.code || 'no code'}, ${error.errno})`,
    'Nothing was lost: the last durable position stands. Look at the server, then start again.',
  );
}

/** MariaDB's number for a reader that another one with the same id replaced. */
const mariadbSameId = 4052;

type Make = (code: ErrorCode, fault: Fault, why: string, remedy: string) => CrossfadeError;

/** Error 1236 is every refusal of the binlog dump, on both flavors; only its text tells them apart. */
function fromDump({ message }: DriverError, make: Make): CrossfadeError {
  if (/purged|Could not find first log file|could not find next log|Could not find GTID state/i.test(message))
    return make('SOURCE_POSITION_PURGED', 'fatal', purgedWhy, purgedRemedy);
  if (/same server_(uuid|id)|same server.?id/i.test(message)) {
    // The newer of the two stays: were this one to connect again, it would end the other, and so on without end.
    return make(
      'SOURCE_SERVER_ID_TAKEN',
      'fatal',
      'another reader connected with the same server id, and the server ended this one',
      'Is a second capture of this pipeline running, or a replica with this number? SHOW PROCESSLIST names the host of each reader (Command: Binlog Dump); SHOW REPLICAS knows real replicas only. Stop it; or give each reader its own "serverId" under "source.mysql" (without one it is random). Then start again.',
    );
  }
  if (/max_allowed_packet/i.test(message)) {
    return make(
      'SOURCE_ROW_TOO_LARGE',
      'fatal',
      'an event of the binlog is larger than the server sends to any reader (1 GiB, whatever max_allowed_packet is)',
      'Nothing behind the event was read. The way past it is "A new pipeline behind a change" in the runbook; keep such rows out of captured tables.',
    );
  }
  if (/truncated in the middle of event/i.test(message)) return torn(message, make);
  if (/impossible position|bogus data|position > file size|not a binary log|event read from binlog did not pass|corrupt/i.test(message)) {
    return make(
      'SOURCE_POSITION_INVALID',
      'fatal',
      'the server cannot read its binlog at our position',
      'The binlog was damaged, reset or replaced. Restore the binlog, or load the tables again and start a new pipeline at the load; see the runbook.',
    );
  }
  if (/(replica|slave) has more GTIDs|is not in the master's binlog|is missing the GTID/i.test(message))
    return make('SOURCE_HISTORY_DIVERGED', 'fatal', divergedWhy, divergedRemedy);
  if (/AUTO_POSITION|anonymous transaction|GTID_MODE/i.test(message)) {
    return make(
      'SOURCE_SETTING',
      'fatal',
      'the server cannot stream by GTID',
      'SET PERSIST gtid_mode = ON; or start a new pipeline by file and offset (source.mysql.start).',
    );
  }
  if (/shutdown|shutting down/i.test(message))
    return make('SOURCE_UNREACHABLE', 'retry', 'the server is shutting down', 'Crossfade tries again by itself.');
  return make(
    'SOURCE_FAILED',
    'fatal',
    'the server ended the binlog stream for a reason that is not foreseen',
    'Nothing was lost: the last durable position stands. Look at the server, then start again.',
  );
}

/**
 * A server that died, or whose disk was full, while it wrote: the rest of the event is in no file. Reading does not get over such
 * an end, since the next file begins only behind it.
 */
function torn(message: string, make: Make): CrossfadeError {
  const [, file, number] = /read from '(?:[^']*\/)?([^'/]*?\.)(\d+)'/.exec(message) ?? [];
  const next = number === undefined ? 'the next file' : `${file}${String(Number(number) + 1).padStart(number.length, '0')}`;
  const name = number === undefined ? 'the binlog file' : `${file}${number}`;
  return make(
    'SOURCE_EVENT_CORRUPT',
    'fatal',
    `${name} ends in the middle of an event: the server died or its disk was full while it wrote, and no reader gets over that`,
    `Everything before that end was read; what is cut off was not committed on this server. Is it the newest file (SHOW BINARY LOGS)? Then make room on the disk, and: FLUSH BINARY LOGS; Then, once every replica is past the file too: PURGE BINARY LOGS TO '${next}'; and start again.`,
  );
}

const purgedWhy = 'the server no longer has the binlog at our position';
const purgedRemedy =
  'First look for a replica that still has the files (SHOW BINARY LOGS there): with GTIDs, point source.mysql at it and start again; that is all. Only where none has them the changes in between are gone: then "A new pipeline with the tables loaded again" in the runbook. Keep binlogs longer (binlog_expire_logs_seconds) than capture may be down.';
const divergedWhy = 'the server does not have the transactions that were already read: its history is another one';
const divergedRemedy =
  'First: is it a replica that is only behind? Wait until it has caught up, and start again. Does the server from before still exist? Point source.mysql back to it. Only where a failover lost transactions or a backup was restored, the targets hold what the source forgot: then "A new pipeline with the tables loaded again" in the runbook.';

export function purged(what: string): CrossfadeError {
  return new CrossfadeError({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal', message: `${purgedWhy}: ${what}`, remedy: purgedRemedy });
}

export function diverged(what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_HISTORY_DIVERGED',
    fault: 'fatal',
    message: `${divergedWhy}: ${what}`,
    remedy: divergedRemedy,
  });
}

export function unreachable(what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_UNREACHABLE',
    fault: 'retry',
    message: what,
    remedy: 'Crossfade tries again by itself; if this lasts, look at the server and the network.',
  });
}

export function corruptEvent(what: string, where = 'the binlog'): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_EVENT_CORRUPT',
    fault: 'fatal',
    message: `an event of ${where} is damaged: ${what}`,
    remedy:
      'Nothing after it was read. Look at the server with mysqlbinlog --verify-binlog-checksum; if the file is sound, start again: the network damaged it.',
  });
}

export function unsupportedEvent(what: string, remedy: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_EVENT_UNSUPPORTED',
    fault: 'fatal',
    message: `the binlog holds ${what}, which is not carried`,
    remedy,
  });
}

export function setting(what: string, fix: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_SETTING',
    fault: 'fatal',
    message: what,
    remedy: `Run on the source, then start again: ${fix}`,
  });
}

/** The error of a GTID that the server wrote behind a higher one of the same domain, wherever it is noticed. */
export function sequenceWentBack(what: string, then = ''): CrossfadeError {
  return unsupportedEvent(
    what,
    'Run on every server of the topology: SET GLOBAL gtid_strict_mode = ON; (and in my.cnf under [mariadb], for the next start: gtid_strict_mode = ON) then sequences can only grow.' +
      then,
  );
}

export function keyless(table: TableId): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_TABLE_KEYLESS',
    fault: 'fatal',
    message: `table ${tableName(table)} has no primary key and no unique key without NULL`,
    remedy: `Add a primary key, or name the columns that identify a row under "source.keys" in the configuration: { ${tableName(table)}: [columns] }.`,
  });
}

export function invalidValue(table: TableId, column: string, where: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_VALUE_INVALID',
    fault: 'poison',
    message: `a value of ${tableName(table)}.${column} at ${where} is not valid in its type or character set`,
    remedy: 'Correct the row in the source, so that it does not come again. The change itself stays in the binlog.',
  });
}

/** Not poison: whoever raises the limit gets the row, so nothing may go past it. */
export function rowTooLarge(table: TableId, bytes: number, limit: number, where: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_ROW_TOO_LARGE',
    fault: 'fatal',
    message: `a row of ${tableName(table)} at ${where} has ${bytes} bytes, more than the ${limit} that "maxRowBytes" allows`,
    remedy:
      bytes > mostRowBytes
        ? 'No limit allows so much, and nothing behind the row was read.'
        : `Nothing behind the row was read. If memory allows, in the configuration: source: { mysql: { url: …, maxRowBytes: ${roomFor(bytes)} } }; then start again. If not:`,
  });
}

const mebibyte = 1024 ** 2;
const mostRowBytes = 1024 * mebibyte;
/** With a quarter to spare: a row that has grown goes on growing. */
const roomFor = (bytes: number): number => Math.min(mostRowBytes, Math.ceil((bytes * 1.25) / mebibyte) * mebibyte);
