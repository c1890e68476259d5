/** A binlog file of a real server, cut into its events, for the suites that read it without one. */
import { readFileSync } from 'node:fs';
import { crc32, gunzipSync } from 'node:zlib';
import { BinlogReader } from '../../connectors/mysql/stream/reader.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { event, uuid } from './binlog-bytes.ts';

export type Flavor = 'mysql' | 'mariadb';

const magicBytes = 4;
const fileName = 'binlog.000002';

/** Written by scratch tables of every family of types: inserts, updates, deletes, a key change, XA, compressed, DDL, TRUNCATE. */
export function eventsOfFile(flavor: Flavor): Buffer[] {
  const bytes = gunzipSync(readFileSync(new URL(`./samples/fuzz-${flavor}.binlog.gz`, import.meta.url)));
  const events: Buffer[] = [];
  for (let at = magicBytes; at < bytes.length;) {
    const size = bytes.readUInt32LE(at + 9);
    events.push(bytes.subarray(at, at + size));
    at += size;
  }
  return events;
}

/** Length and checksum as a writer would set them who means what he writes. */
export function sealed(bytes: Buffer): Buffer {
  if (bytes.length < 23) return bytes;
  bytes.writeUInt32LE(bytes.length, 9);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

export const typeOf = (bytes: Buffer): number => bytes[4] as number;

const charsetOf = new Map([
  [8, 'latin1'],
  [28, 'gbk'],
  [33, 'utf8mb3'],
  [45, 'utf8mb4'],
  [46, 'utf8mb4'],
  [63, 'binary'],
  [255, 'utf8mb4'],
]);
const maxBytesOf = new Map([
  ['latin1', 1],
  ['gbk', 2],
  ['utf8mb3', 3],
  ['utf8mb4', 4],
  ['binary', 1],
]);

/** Reads events as the source does, from its file's first one; what comes out is kept until it is asked for. */
export class FileReader {
  readonly #reader: BinlogReader;
  #changes: RowChange[] = [];
  /** What lies around each event in its chunk. */
  readonly #junk: Buffer;

  constructor(flavor: Flavor, junk: number) {
    this.#junk = Buffer.alloc(64, junk);
    const place = { file: fileName, offset: magicBytes };
    const from = { flavor, uuid, epoch: 0, gtid: null, file: fileName, pos: magicBytes, last: null, xa: [], throughUs: 0 };
    const take = (changes: readonly RowChange[]) => void this.#changes.push(...changes);
    const nothing = () => undefined;
    // Its outbox keeps everything and never waits.
    this.#reader = new BinlogReader(
      {
        from,
        uuid,
        epoch: 0,
        byGtid: false,
        seedGtids: false,
        prove: null,
        held: [],
        skipUntil: [],
        dumpGtids: '',
        dumpFrom: place,
        end: place,
      },
      {
        tables: {
          mapped: new Set(['fuzz.things']),
          keys: new Map(),
          collations: { charsetOf, maxBytesOf, ofSpatial: flavor === 'mariadb' },
          maxRowBytes: 1 << 20,
        },
        untransactional: new Set(),
        unkeyed: new Set(),
        foldsNames: false,
        partBytes: 1 << 16,
        heartbeatUs: 1_000_000,
        clockOffsetUs: 0,
      },
      () => ({ commit: take, part: take, open: nothing, beat: nothing, room: nothing, full: false, paused: false }),
    );
    const rotate = Buffer.alloc(8);
    rotate.writeBigUInt64LE(BigInt(magicBytes));
    void this.read(event(4, Buffer.concat([rotate, Buffer.from(fileName)]), 0, 0x20));
  }

  /** As the reader does: a promise where it needs time. */
  read(bytes: Buffer): void | Promise<void> {
    const chunk = Buffer.concat([this.#junk, bytes, this.#junk]);
    return this.#reader.event(chunk, this.#junk.length, this.#junk.length + bytes.length);
  }

  get position(): string {
    return this.#reader.position();
  }

  taken(): RowChange[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }
}
