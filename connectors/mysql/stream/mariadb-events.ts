/** What only MariaDB's binlog has: its GTID event, its list of GTIDs, and events whose body is compressed. */
import { inflateSync } from 'node:zlib';
import { corruptEvent } from '../errors.ts';
import type { GroupStart } from '../transaction/open-transaction.ts';
import { MariadbGtids, mariadbGtidText } from '../position/mariadb-gtid.ts';

const standalone = 0x01;
const groupCommitId = 0x02;
const preparedXa = 0x40;
const completedXa = 0x80;
const multiEngine = 0x01;
const startAlter = 0x02;
const rollbackAlter = 0x08;

export interface MariadbGtidEvent extends GroupStart {
  /**
   * An ALTER TABLE that is written twice, when it starts and when it is over (binlog_alter_two_phase): only a COMMIT ALTER, or
   * one that is written once, has changed anything. True: this one has not.
   */
  readonly undecidedAlter: boolean;
}

/**
 * `from`: the event's body: sequence (8), domain (4), flags (1), then by flag a commit id (8), an xid, and more flags. Commit
 * times are not told: the header's seconds must do.
 */
export function parseMariadbGtidEvent(b: Buffer, from: number, end: number, serverId: number): MariadbGtidEvent {
  if (end - from < 13) throw corruptEvent('a GTID event is cut');
  const sequence = b.readBigUInt64LE(from);
  if (sequence > BigInt(Number.MAX_SAFE_INTEGER)) throw corruptEvent('a GTID number is beyond what we can count');
  const gtid = mariadbGtidText({ domain: b.readUInt32LE(from + 8), server: serverId, sequence: Number(sequence) });
  const flags = b[from + 12] as number;
  // What is left of 19 bytes behind the last field is filled with zeros.
  let at = from + 13 + ((flags & groupCommitId) === 0 ? 0 : 8);
  let xid: string | undefined;
  if ((flags & (preparedXa | completedXa)) !== 0) {
    const gtridBytes = b[at + 4] ?? 0;
    const bqualBytes = b[at + 5] ?? 0;
    const data = at + 6;
    if (data + gtridBytes + bqualBytes > end) throw corruptEvent('a GTID event is cut');
    xid = xidText(
      b.toString('hex', data, data + gtridBytes),
      b.toString('hex', data + gtridBytes, data + gtridBytes + bqualBytes),
      b.readUInt32LE(at),
    );
    at = data + gtridBytes + bqualBytes;
  }
  const extra = at < end ? (b[at] as number) : 0;
  return {
    gtid,
    committedAtUs: 0,
    originallyAtUs: 0,
    begun: (flags & standalone) === 0 && (flags & completedXa) === 0,
    ...(xid !== undefined && (flags & preparedXa) !== 0 ? { xid } : {}),
    undecidedAlter: (extra & ~multiEngine & (startAlter | rollbackAlter)) !== 0,
  };
}

/** As the statements XA START and XA COMMIT give it; see statement.ts. */
const xidText = (gtrid: string, bqual: string, format: number): string => `x'${gtrid}',x'${bqual}',${format}`;

/** GTID_LIST: what came before a file, the last transaction of each domain and server; the newest of a domain is its last. */
export function parseGtidList(b: Buffer, from: number, end: number): MariadbGtids {
  if (end - from < 4) throw corruptEvent('a GTID_LIST is cut');
  const count = b.readUInt32LE(from) & 0x0fffffff;
  if (from + 4 + 16 * count > end) throw corruptEvent('a GTID_LIST is cut');
  const gtids = new MariadbGtids();
  for (let at = from + 4; at < from + 4 + 16 * count; at += 16) {
    const sequence = Number(b.readBigUInt64LE(at + 8));
    gtids.add(mariadbGtidText({ domain: b.readUInt32LE(at), server: b.readUInt32LE(at + 4), sequence }));
  }
  return gtids;
}

const alwaysSet = 0x80;
const algorithmBits = 0x70;

/**
 * One byte (the top bit set, the algorithm, the number of bytes of the length), the length before compression (big-endian),
 * and a zlib stream.
 */
export function inflated(b: Buffer, from: number, end: number, where: () => string): Buffer {
  const first = b[from] ?? 0;
  const lengthBytes = first & 0x07;
  const at = from + 1 + lengthBytes;
  if (from >= end || at > end || lengthBytes < 1 || lengthBytes > 4 || (first & alwaysSet) === 0 || (first & algorithmBits) !== 0)
    throw corruptEvent('a compressed part has a form that is not known', where());
  const length = b.readUIntBE(from + 1, lengthBytes);
  try {
    const whole = inflateSync(b.subarray(at, end), { maxOutputLength: Math.max(length, 1) });
    if (whole.length === length) return whole;
  } catch {
    // What zlib says may quote nothing that helps a person; the place does.
  }
  throw corruptEvent('a compressed part cannot be read', where());
}
