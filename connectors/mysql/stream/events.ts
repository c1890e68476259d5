/** The closed table of event types, of MySQL and MariaDB together, and the header that is in front of each. */
import { CrossfadeError } from '../../../src/core/errors.ts';
import { corruptEvent, unsupportedEvent } from '../errors.ts';
import type { RowsForm } from './row-events.ts';
import { crc32 } from '../crc32.ts';

export type Handled =
  | 'query'
  | 'compressed query'
  | 'load query'
  | 'rotate'
  | 'format'
  | 'xid'
  | 'table map'
  | 'rows'
  | 'payload'
  | 'heartbeat'
  | 'gtid'
  | 'anonymous gtid'
  | 'tagged gtid'
  | 'mariadb gtid'
  | 'previous gtids'
  | 'gtid list'
  | 'start encryption'
  | 'xa prepare';
export type Treatment =
  | { readonly handle: 'rows'; readonly form: RowsForm }
  | { readonly handle: Exclude<Handled, 'rows'> }
  | 'ignore'
  | { readonly stop: string; readonly remedy: string };

const rows = (kind: RowsForm['kind'], version: RowsForm['version'], compressed = false): Treatment => ({
  handle: 'rows',
  form: { kind, version, compressed },
});
const old = (stop: string) => ({ stop, remedy: 'It comes from a server older than MySQL 5.7. Read a newer server.' });

/** Up to 159 the numbers of both; MySQL uses them up to 42, of which MariaDB writes none of 28 to 37 and 39 to 42. */
const treatments: Readonly<Record<number, Treatment>> = {
  1: old('START_EVENT_V3'),
  2: { handle: 'query' },
  3: 'ignore', // STOP: the server shut down in good order
  4: { handle: 'rotate' },
  5: 'ignore', // INTVAR, RAND, USER_VAR: belong to a statement, and the QUERY decides
  6: old('LOAD_EVENT'),
  7: old('SLAVE_EVENT'),
  8: old('CREATE_FILE_EVENT'),
  9: 'ignore', // APPEND_BLOCK, DELETE_FILE, BEGIN_LOAD_QUERY: the file of a LOAD DATA by statement; EXECUTE_LOAD_QUERY decides
  10: old('EXEC_LOAD_EVENT'),
  11: 'ignore',
  12: old('NEW_LOAD_EVENT'),
  13: 'ignore',
  14: 'ignore',
  15: { handle: 'format' },
  16: { handle: 'xid' },
  17: 'ignore',
  18: { handle: 'load query' },
  19: { handle: 'table map' },
  20: old('PRE_GA_WRITE_ROWS'),
  21: old('PRE_GA_UPDATE_ROWS'),
  22: old('PRE_GA_DELETE_ROWS'),
  23: rows('write rows', 1),
  24: rows('update rows', 1),
  25: rows('delete rows', 1),
  26: {
    stop: 'INCIDENT: the server itself says that its binlog lost changes',
    remedy:
      'Nobody knows what is missing: follow "A new pipeline with the tables loaded again" in the runbook, with a position behind it. The server\'s error log says why.',
  },
  27: { handle: 'heartbeat' },
  28: 'ignore', // IGNORABLE
  29: 'ignore', // ROWS_QUERY: the statement's text, for people
  30: rows('write rows', 2),
  31: rows('update rows', 2),
  32: rows('delete rows', 2),
  33: { handle: 'gtid' },
  34: { handle: 'anonymous gtid' },
  35: { handle: 'previous gtids' },
  36: 'ignore', // TRANSACTION_CONTEXT, VIEW_CHANGE: group replication's own
  37: 'ignore',
  38: { handle: 'xa prepare' },
  39: rows('partial update rows', 2),
  40: { handle: 'payload' },
  41: { handle: 'heartbeat' }, // HEARTBEAT_V2: sent only to whom asks for it
  42: { handle: 'tagged gtid' },
  160: 'ignore', // ANNOTATE_ROWS: the statement's text, for people
  161: 'ignore', // BINLOG_CHECKPOINT: for the server's own recovery
  162: { handle: 'mariadb gtid' },
  163: { handle: 'gtid list' },
  164: { handle: 'start encryption' },
  165: { handle: 'compressed query' },
  166: rows('write rows', 1, true),
  167: rows('update rows', 1, true),
  168: rows('delete rows', 1, true),
  169: rows('write rows', 2, true),
  170: rows('update rows', 2, true),
  171: rows('delete rows', 2, true),
  172: {
    stop: 'PARTIAL_ROW_DATA (a rows event in fragments)',
    remedy: 'Run on the source: SET GLOBAL binlog_row_event_fragment_threshold = 1073741824;',
  },
};

/** What to do with an event of this type; undefined: nobody knows it. */
export const treatmentOf = (type: number): Treatment | undefined => treatments[type];

/** Events that are the whole rest of their transaction. */
export const endsTransaction = (type: number): boolean => type === 26;
/** What can be inside a compressed transaction: whatever belongs to one transaction, but not what begins it. */
export const belongsInside = (treatment: Treatment | undefined): boolean =>
  treatment !== undefined && (treatment === 'ignore' || !('handle' in treatment) || inside.has(treatment.handle));
const inside: ReadonlySet<Handled> = new Set(['query', 'load query', 'xid', 'table map', 'rows', 'xa prepare']);

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
/** A statement on a table of its session's own, which has the name of another perhaps. */
const threadSpecific = 0x04;
const mayBeIgnored = 0x80;

/** The header that is in front of every event. One object, used again for each. */
export class EventHeader {
  type = 0;
  serverId = 0;
  timestampSeconds = 0;
  size = 0;
  /** Where the event ends in its file, the low 32 bits; 0 for what is not in the file. */
  logPos = 0;
  inFile = false;
  #flags = 0;

  read(b: Buffer, at: number, end: number): void {
    if (end - at < headerBytes) throw corruptEvent('its header is cut');
    this.timestampSeconds = b.readUInt32LE(at);
    this.type = b[at + 4] as number;
    this.serverId = b.readUInt32LE(at + 5);
    this.size = b.readUInt32LE(at + 9);
    this.logPos = b.readUInt32LE(at + 13);
    this.#flags = b.readUInt16LE(at + 17);
    this.inFile = this.logPos !== 0 && (this.#flags & artificial) === 0;
    if (this.size !== end - at) throw corruptEvent('its length is not what its header says');
  }

  get ofTemporaryTable(): boolean {
    return (this.#flags & threadSpecific) !== 0;
  }
  get mayBeIgnored(): boolean {
    return (this.#flags & mayBeIgnored) !== 0;
  }
}

export const checksumBytes = 4;

export function verifyChecksum(b: Buffer, from: number, end: number): void {
  const body = end - checksumBytes;
  if (body - from < headerBytes) throw corruptEvent('it is too short for its checksum');
  if (crc32(b, from, body) !== b.readUInt32LE(body)) throw corruptEvent('its checksum does not match');
}

/**
 * From FORMAT_DESCRIPTION: whether the events behind it carry a CRC32. Its own last five bytes are algorithm and checksum; in
 * a file it has one in any case, so that damage cannot pass for "none"; one that the server makes up for a connection has not.
 */
export function checksumsFollow(b: Buffer, from: number, end: number): boolean {
  const algorithm = b[end - 5];
  if (algorithm === 1) return true;
  if (algorithm !== 0) throw corruptEvent('FORMAT_DESCRIPTION names a checksum algorithm that is not known');
  if (b.readUInt32LE(from + 13) !== 0 && formatChecksum(b, from, end - checksumBytes) !== b.readUInt32LE(end - checksumBytes))
    throw corruptEvent('its checksum does not match');
  return false;
}

/** The server sets a flag while it writes the file, and leaves the checksum as it was without it. */
function formatChecksum(b: Buffer, from: number, end: number): number {
  const flagsAt = from + 17;
  const inUse = 1;
  const flags = Buffer.from([(b[flagsAt] as number) & ~inUse]);
  return crc32(b, flagsAt + 1, end, crc32(flags, 0, 1, crc32(b, from, flagsAt)));
}
