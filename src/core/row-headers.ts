/** The headers of rows, written in bulk: what a table's rows have in common is encoded once and patched in place. */
import { encodeHeader, openHeader, versionName } from './record-headers.ts';
import { varintSize, writeVarint } from './varint.ts';
import { versionWidth, type Half } from './version.ts';

/** What a record batch asks of headers; the version is always the first of them. */
export interface RecordHeaders {
  readonly size: number;
  /** The record is not its transaction's last in this partition. */
  readonly open: boolean;
  /** Answers the place behind. */
  write(target: Uint8Array, at: number): number;
}

/** Behind the count: the version's name and the length of its value. */
const versionHead = Buffer.alloc(varintSize(versionName.length) + versionName.length + varintSize(versionWidth));
writeVarint(versionHead, versionName.copy(versionHead, writeVarint(versionHead, 0, versionName.length)) + 1, versionWidth);
/** Where the version is in any record's headers: the count of them has one byte. */
export const versionFrom = 1 + versionHead.length;
const ordinalWidth = 8;
const ordinalFrom = versionFrom + versionWidth - 2 - ordinalWidth;
const hexDigits = Buffer.from('0123456789abcdef');

/** The same bytes as `EncodedHeaders.of(term, committedAtUs, schemaId)`, for one row of one table after the other. */
export class RowHeaders implements RecordHeaders {
  readonly open = false;
  readonly #term: number;
  readonly #schemaId: string;
  #bytes: Buffer = Buffer.alloc(0);
  #committedAt = 0;
  #committedWidth = -1;
  size = 0;

  constructor(term: number, schemaId: string) {
    this.#term = term;
    this.#schemaId = schemaId;
  }

  /** From here on rows of this transaction. */
  transaction(versionPrefix: string, committedAtUs: number): void {
    const committed = String(committedAtUs);
    if (committed.length !== this.#committedWidth) this.#make(committed);
    else this.#bytes.write(committed, this.#committedAt, 'latin1');
    this.#bytes.write(versionPrefix, versionFrom, 'latin1');
  }

  row(ordinal: number, half: Half): void {
    const bytes = this.#bytes;
    let rest = ordinal;
    for (let at = ordinalFrom + ordinalWidth - 1; at >= ordinalFrom; at -= 1) {
      bytes[at] = hexDigits[rest & 15] as number;
      rest >>>= 4;
    }
    bytes[ordinalFrom + ordinalWidth + 1] = 48 + half;
  }

  write(target: Uint8Array, at: number): number {
    target.set(this.#bytes, at);
    return at + this.size;
  }

  #make(committed: string): void {
    const term = encodeHeader('term', Buffer.from(String(this.#term)));
    const commit = encodeHeader('commit-ts-us', Buffer.from(committed));
    const schema = encodeHeader('schema', Buffer.from(this.#schemaId));
    const version = Buffer.alloc(versionWidth, '-');
    const count = Buffer.from([4 * 2]);
    this.#bytes = Buffer.concat([count, versionHead, version, term, commit, schema]);
    this.size = this.#bytes.length;
    this.#committedWidth = committed.length;
    this.#committedAt = versionFrom + versionWidth + term.length + commit.length - committed.length;
  }
}

const openBytes = encodeHeader(...openHeader);

/** Headers that were kept, for a record whose transaction goes on or has ended. */
export class KeptHeaders implements RecordHeaders {
  readonly #bytes: Uint8Array;
  readonly open: boolean;
  readonly size: number;

  /** `bytes`: headers that are not open. */
  constructor(bytes: Uint8Array, open: boolean) {
    this.#bytes = bytes;
    this.open = open;
    this.size = bytes.length + (open ? openBytes.length : 0);
  }

  static bytesOf(headers: RecordHeaders): Uint8Array {
    const bytes = Buffer.allocUnsafe(headers.size);
    headers.write(bytes, 0);
    return bytes;
  }

  write(target: Uint8Array, at: number): number {
    target.set(this.#bytes, at);
    return this.open ? appendOpen(target, at, at + this.#bytes.length) : at + this.size;
  }
}

/** Adds the `open` header to headers that lie from `at` to `end`; answers their new end, `openHeaderBytes` further. */
export function appendOpen(target: Uint8Array, at: number, end: number): number {
  target[at] = (target[at] as number) + 2;
  target.set(openBytes, end);
  return end + openBytes.length;
}
export const openHeaderBytes = openBytes.length;
