/** The closed table of event types, and the parts of events that are not rows or GTIDs. */
import { crc32 } from 'node:zlib';
import { CrossfadeError } from '../../src/core/errors.ts';
import { corruptEvent, unsupportedEvent } from './errors.ts';

export type Handled =
  | 'query'
  | 'rotate'
  | 'format'
  | 'xid'
  | 'table map'
  | 'write rows'
  | 'update rows'
  | 'delete rows'
  | 'heartbeat'
  | 'gtid'
  | 'anonymous gtid'
  | 'tagged gtid'
  | 'previous gtids'
  | 'xa prepare';
type Treatment = { readonly handle: Handled; readonly version?: 1 | 2 } | 'ignore' | { readonly stop: string; readonly remedy: string };

const statementFormat = 'SET PERSIST binlog_format = ROW; and end the sessions that set another format.';
const old = (stop: string) => ({ stop, remedy: 'It comes from a server older than MySQL 5.7. Read a newer server.' });

const treatments: Readonly<Record<number, Treatment>> = {
  1: old('START_EVENT_V3'),
  2: { handle: 'query' },
  3: 'ignore', // STOP: the server shut down in good order
  4: { handle: 'rotate' },
  5: 'ignore', // INTVAR, RAND, USER_VAR: belong to a statement, and the QUERY decides
  6: old('LOAD_EVENT'),
  7: old('SLAVE_EVENT'),
  8: old('CREATE_FILE_EVENT'),
  9: { stop: 'APPEND_BLOCK (LOAD DATA by statement)', remedy: statementFormat },
  10: old('EXEC_LOAD_EVENT'),
  11: { stop: 'DELETE_FILE (LOAD DATA by statement)', remedy: statementFormat },
  12: old('NEW_LOAD_EVENT'),
  13: 'ignore',
  14: 'ignore',
  15: { handle: 'format' },
  16: { handle: 'xid' },
  17: { stop: 'BEGIN_LOAD_QUERY (LOAD DATA by statement)', remedy: statementFormat },
  18: { stop: 'EXECUTE_LOAD_QUERY (LOAD DATA by statement)', remedy: statementFormat },
  19: { handle: 'table map' },
  20: old('PRE_GA_WRITE_ROWS'),
  21: old('PRE_GA_UPDATE_ROWS'),
  22: old('PRE_GA_DELETE_ROWS'),
  23: { handle: 'write rows', version: 1 },
  24: { handle: 'update rows', version: 1 },
  25: { handle: 'delete rows', version: 1 },
  26: {
    stop: 'INCIDENT: the server itself says that its binlog lost changes',
    remedy: "Nobody knows what is missing, so the targets' tables must be loaded again. The server's error log says why.",
  },
  27: { handle: 'heartbeat' },
  28: 'ignore', // IGNORABLE
  29: 'ignore', // ROWS_QUERY: the statement's text, for people
  30: { handle: 'write rows', version: 2 },
  31: { handle: 'update rows', version: 2 },
  32: { handle: 'delete rows', version: 2 },
  33: { handle: 'gtid' },
  34: { handle: 'anonymous gtid' },
  35: { handle: 'previous gtids' },
  36: 'ignore', // TRANSACTION_CONTEXT, VIEW_CHANGE: group replication's own
  37: 'ignore',
  38: { handle: 'xa prepare' },
  39: {
    stop: 'PARTIAL_UPDATE_ROWS (partial JSON)',
    remedy: "Run on the source: SET PERSIST binlog_row_value_options = '';",
  },
  40: {
    stop: 'TRANSACTION_PAYLOAD (a compressed transaction)',
    remedy: 'Run on the source: SET PERSIST binlog_transaction_compression = OFF; and let the applications connect anew.',
  },
  41: { handle: 'heartbeat' },
  42: { handle: 'tagged gtid' },
};

/** What to do with an event of this type; undefined: nobody knows it. */
export const treatmentOf = (type: number): Treatment | undefined => treatments[type];

/** Events that are the whole rest of their transaction. */
export const endsTransaction = (type: number): boolean => type === 26 || type === 40;

/** The error for an event that must stop the stream: known and not carried, or not known at all. */
export function refusedEvent(type: number, place: string): CrossfadeError {
  const treatment = treatments[type];
  if (typeof treatment === 'object' && 'stop' in treatment) return unsupportedEvent(`${treatment.stop} at ${place}`, treatment.remedy);
  return new CrossfadeError({
    code: 'SOURCE_EVENT_UNKNOWN',
    fault: 'fatal',
    message: `the event at ${place} has type ${type}, which this release does not know`,
    remedy: 'It may hold changes, so nothing after it was read. Upgrade Crossfade, or say which server wrote it.',
  });
}

export const headerBytes = 19;
/** Made by the dump thread for this connection only; not in the file. */
const artificial = 0x20;

/** The header that is in front of every event. One object, used again for each. */
export class EventHeader {
  type = 0;
  serverId = 0;
  timestampSeconds = 0;
  size = 0;
  /** Where the event ends in its file, the low 32 bits; 0 for what is not in the file. */
  logPos = 0;
  inFile = false;

  read(b: Buffer, at: number, end: number): void {
    if (end - at < headerBytes) throw corruptEvent('its header is cut');
    this.timestampSeconds = b.readUInt32LE(at);
    this.type = b[at + 4] as number;
    this.serverId = b.readUInt32LE(at + 5);
    this.size = b.readUInt32LE(at + 9);
    this.logPos = b.readUInt32LE(at + 13);
    this.inFile = this.logPos !== 0 && (b.readUInt16LE(at + 17) & artificial) === 0;
    if (this.size !== end - at) throw corruptEvent('its length is not what its header says');
  }
}

export const checksumBytes = 4;

export function verifyChecksum(b: Buffer, from: number, end: number): void {
  const body = end - checksumBytes;
  if (crc32(b.subarray(from, body)) !== b.readUInt32LE(body)) throw corruptEvent('its checksum does not match');
}

/** From FORMAT_DESCRIPTION: whether the events behind it carry a CRC32. Its own last five bytes are algorithm and checksum. */
export function checksumsFollow(b: Buffer, end: number): boolean {
  const algorithm = b[end - 5];
  if (algorithm === 1) return true;
  if (algorithm === 0) return false;
  throw corruptEvent('FORMAT_DESCRIPTION names a checksum algorithm that is not known');
}

export interface QueryEvent {
  readonly database: string;
  readonly sql: string;
}

export function parseQuery(b: Buffer, from: number, end: number): QueryEvent {
  const databaseSize = b[from + 8] as number;
  const at = from + 13 + b.readUInt16LE(from + 11);
  if (at + databaseSize + 1 > end) throw corruptEvent('a QUERY is cut');
  return { database: b.toString('utf8', at, at + databaseSize), sql: b.toString('utf8', at + databaseSize + 1, end) };
}

export function parseRotate(b: Buffer, from: number, end: number): { readonly file: string; readonly offset: number } {
  if (end - from < 9) throw corruptEvent('a ROTATE is cut');
  return { offset: Number(b.readBigUInt64LE(from)), file: b.toString('utf8', from + 8, end) };
}
