/** GTID, ANONYMOUS_GTID and GTID_TAGGED: which transaction begins, and when it was committed. PREVIOUS_GTIDS: what came before a file. */
import { corruptEvent } from '../errors.ts';
import { GtidSet } from '../position/gtid.ts';

export interface GtidEvent {
  /** `uuid:number` or `uuid:tag:number`; '' for an anonymous transaction, whose fields are all zeros. */
  readonly gtid: string;
  /** Microseconds since 1970 at the server that we read from, and at the one where it was first committed; 0: not said. */
  readonly committedAtUs: number;
  readonly originallyAtUs: number;
}

function uuidText(b: Buffer, at: number): string {
  const hex = b.toString('hex', at, at + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corruptEvent('a GTID number is beyond what we can count');
  return Number(value);
}

/** The highest of a commit time's 56 bits: the original one follows. */
const originalFollows = 0x800000;
/** The server's uuid hardly ever changes: its text is kept. */
let knownUuid = Buffer.alloc(16);
let knownUuidText = uuidText(knownUuid, 0);

function isKnown(b: Buffer, at: number): boolean {
  for (let index = 0; index < 16; index += 1) if (b[at + index] !== knownUuid[index]) return false;
  return true;
}

export function parseGtidEvent(b: Buffer, from: number, end: number, anonymous: boolean): GtidEvent {
  if (end - from < 25) throw corruptEvent('a GTID event is cut');
  if (!isKnown(b, from + 1)) {
    knownUuid = Buffer.from(b.subarray(from + 1, from + 17));
    knownUuidText = uuidText(knownUuid, 0);
  }
  const low = b.readUInt32LE(from + 17);
  const high = b.readUInt32LE(from + 21);
  if (high > 0x1fffff) throw corruptEvent('a GTID number is beyond what we can count');
  const gtid = anonymous ? '' : `${knownUuidText}:${high * 4294967296 + low}`;
  // Behind the number: type of the logical clock (2), last committed (8), sequence number (8), then the commit times.
  const at = from + 42;
  if (end < at + 7) return { gtid, committedAtUs: 0, originallyAtUs: 0 };
  const committedHigh = b.readUIntLE(at + 4, 3);
  // Without the bit before it is put together: with it the number would be too large to be exact.
  const committedAtUs = microseconds(b.readUInt32LE(at), committedHigh & ~originalFollows);
  if ((committedHigh & originalFollows) === 0) return { gtid, committedAtUs, originallyAtUs: committedAtUs };
  if (end < at + 14) throw corruptEvent('a GTID event is cut');
  return { gtid, committedAtUs, originallyAtUs: microseconds(b.readUInt32LE(at + 7), b.readUIntLE(at + 11, 3)) };
}

function microseconds(low: number, high: number): number {
  const value = low + high * 4294967296;
  if (value > Number.MAX_SAFE_INTEGER) throw corruptEvent('a commit time is beyond what we can count');
  return value;
}

/** MySQL's serialization of integers: the count of trailing ones in the first byte says how many bytes follow. */
class FieldReader {
  readonly #b: Buffer;
  readonly #end: number;
  at: number;
  constructor(b: Buffer, from: number, end: number) {
    this.#b = b;
    this.at = from;
    this.#end = end;
  }
  unsigned(): bigint {
    const first = this.#b[this.at] ?? 0;
    let more = 0;
    while (more < 8 && ((first >> more) & 1) === 1) more += 1;
    const from = this.at + 1;
    this.at = from + more;
    if (this.at > this.#end) throw corruptEvent('a tagged GTID event is cut');
    let value = 0n;
    for (let index = more - 1; index >= 0; index -= 1) value = (value << 8n) | BigInt(this.#b[from + index] as number);
    return more >= 8 ? value : (value << BigInt(7 - more)) | BigInt(first >> (more + 1));
  }
  signed(): bigint {
    const value = this.unsigned();
    return (value & 1n) === 1n ? -(value >> 1n) - 1n : value >> 1n;
  }
  text(): string {
    const size = Number(this.unsigned());
    this.at += size;
    if (this.at > this.#end) throw corruptEvent('a tagged GTID event is cut');
    return this.#b.toString('latin1', this.at - size, this.at);
  }
  get done(): boolean {
    return this.at >= this.#end;
  }
}

/** Fields by number: 0 flags, 1 uuid, 2 number, 3 tag, 4 last committed, 5 sequence number, 6 immediate and 7 original commit time. */
export function parseTaggedGtidEvent(b: Buffer, from: number, end: number): GtidEvent {
  const fields = new FieldReader(b, from, end);
  if (fields.unsigned() !== 1n) throw corruptEvent('a tagged GTID event has a format that is not known');
  fields.unsigned();
  fields.unsigned();
  const uuid = Buffer.alloc(16);
  let number = 0n;
  let tag = '';
  let committedAtUs = 0;
  let originallyAtUs = 0;
  reading: while (!fields.done) {
    switch (Number(fields.unsigned())) {
      case 0:
        fields.unsigned();
        break;
      case 1:
        for (let index = 0; index < 16; index += 1) uuid[index] = Number(fields.unsigned());
        break;
      case 2:
        number = fields.signed();
        break;
      case 3:
        tag = fields.text();
        break;
      case 4:
      case 5:
        fields.signed();
        break;
      case 6:
        committedAtUs = safe(fields.unsigned());
        break;
      case 7:
        originallyAtUs = safe(fields.unsigned());
        break;
      default:
        break reading;
    }
  }
  if (number < 1n) throw corruptEvent('a tagged GTID event names no transaction');
  const source = tag === '' ? uuidText(uuid, 0) : `${uuidText(uuid, 0)}:${tag}`;
  return { gtid: `${source}:${safe(number)}`, committedAtUs, originallyAtUs: originallyAtUs || committedAtUs };
}

/** PREVIOUS_GTIDS, in the plain format and (a one in the top byte) the tagged one. */
export function parsePreviousGtids(b: Buffer, from: number, end: number): GtidSet {
  const set = new GtidSet();
  if (end - from < 8) throw corruptEvent('a PREVIOUS_GTIDS event is cut');
  const tagged = b[from + 7] === 1;
  let at = from + 8;
  let count = tagged ? b.readUIntLE(from + 1, 6) : b.readUIntLE(from, 6);
  const texts: string[] = [];
  try {
    for (; count > 0; count -= 1) {
      let source = uuidText(b, at);
      at += 16;
      if (tagged) {
        const size = (b[at] as number) >> 1;
        if (size > 0) source += `:${b.toString('latin1', at + 1, at + 1 + size)}`;
        at += 1 + size;
      }
      let intervals = safe(b.readBigUInt64LE(at));
      at += 8;
      for (; intervals > 0; intervals -= 1, at += 16) texts.push(`${source}:${b.readBigInt64LE(at)}-${b.readBigInt64LE(at + 8) - 1n}`);
    }
  } catch (error) {
    if (error instanceof RangeError) throw corruptEvent('a PREVIOUS_GTIDS event is cut');
    throw error;
  }
  if (at > end) throw corruptEvent('a PREVIOUS_GTIDS event is cut');
  for (const text of texts) set.merge(GtidSet.parse(text));
  return set;
}
