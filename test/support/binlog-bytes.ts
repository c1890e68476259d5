/** A binlog as bytes, made by hand and fed to the reader. */
import { crc32, deflateSync, zstdCompressSync } from 'node:zlib';
import { Outbox } from '../../connectors/mysql/stream/outbox.ts';
import type { MysqlPosition } from '../../connectors/mysql/position/position.ts';
import type { ReadPlan } from '../../connectors/mysql/position/read-plan.ts';
import { BinlogReader } from '../../connectors/mysql/stream/reader.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';

export const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
export const from: MysqlPosition = {
  flavor: 'mysql',
  uuid,
  epoch: 0,
  gtid: null,
  file: 'binlog.000007',
  pos: 4,
  last: null,
  xa: [],
  throughUs: 0,
};
/** One row of `t` is below it as long as its id has fewer than 4 digits. */
const maxRowBytes = 10;
const collations = { charsetOf: new Map([[255, 'utf8mb4']]), maxBytesOf: new Map([['utf8mb4', 4]]), ofSpatial: false };

export function event(type: number, body: Buffer, end: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(19 + body.length + 4);
  bytes.writeUInt32LE(1_700_000_000, 0);
  bytes[4] = type;
  bytes.writeUInt32LE(1, 5);
  bytes.writeUInt32LE(bytes.length, 9);
  bytes.writeUInt32LE(end >>> 0, 13);
  bytes.writeUInt16LE(flags, 17);
  body.copy(bytes, 19);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const idHex = (id: number) => id.toString(16).padStart(2, '0');

/** An event without a checksum: inside a compressed transaction, or where the server writes none. */
export function bareEvent(type: number, body: Buffer | string = '', end = 0): Buffer {
  return withoutChecksum(event(type, typeof body === 'string' ? hex(body) : body, end));
}

function withoutChecksum(whole: Buffer): Buffer {
  const bytes = Buffer.from(whole.subarray(0, -4));
  bytes.writeUInt32LE(bytes.length, 9);
  return bytes;
}

/** The bodies of events. */
export const bodies = {
  query: (sql: string): Buffer => Buffer.concat([Buffer.alloc(8), Buffer.from([2, 0, 0, 0, 0]), Buffer.from('db\0'), Buffer.from(sql)]),
  /** `t (id INT NOT NULL PRIMARY KEY)` with FULL metadata, or a table of the same columns under another name, with the same id. */
  tableMap: (letter = 't'): Buffer =>
    hex(`640000000000 0100 026462 00 01${Buffer.from(letter).toString('hex')} 00 01 03 00 00 010100 040302 6964 080100`),
  insert: (id: number): Buffer => hex(`640000000000 0100 0200 01 ff 00 ${idHex(id)}000000`),
  xid: (): Buffer => hex('0100000000000000'),
  xaPrepare: (letter: string, onePhase = false): Buffer =>
    hex(`0${onePhase ? 1 : 0} 01000000 01000000 00000000 ${Buffer.from(letter).toString('hex')}`),
};

/** TRANSACTION_PAYLOAD around these events. */
export function payloadBody(events: readonly Buffer[], { compressed = true, claimedBytes = -1 } = {}): Buffer {
  const plain = Buffer.concat(events);
  const data = compressed ? zstdCompressSync(plain) : plain;
  const number = (value: number) => {
    const bytes = Buffer.alloc(9, 254);
    bytes.writeBigUInt64LE(BigInt(value), 1);
    return bytes;
  };
  const field = (type: number, value: Buffer) => Buffer.concat([Buffer.from([type, value.length]), value]);
  return Buffer.concat([
    field(2, Buffer.from(compressed ? [0] : [252, 255, 0])),
    field(3, number(claimedBytes < 0 ? plain.length : claimedBytes)),
    field(1, number(data.length)),
    Buffer.from([0]),
    data,
  ]);
}

/** MariaDB's form of compression: a byte, the length in as many bytes as it says, zlib. */
export function mariadbCompressed(plain: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x84, 0, 0, plain.length >> 8, plain.length & 0xff]), deflateSync(plain)]);
}

/** A file as a server would send it, from any offset; `at` counts on by itself. */
export class FakeStream {
  at: number;
  readonly reader: BinlogReader<Outbox>;
  readonly pauses: string[] = [];
  /** Set when the reader needs time for the last event. */
  slow: Promise<void> | undefined;
  constructor(
    offset: number,
    plan: Partial<ReadPlan> = {},
    { partBytes = 1 << 20, unkeyed = [] as string[], untransactional = [] as string[], foldsNames = true, rowBytes = maxRowBytes } = {},
  ) {
    this.at = offset;
    this.reader = new BinlogReader(
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
        dumpFrom: { file: 'binlog.000007', offset },
        end: { file: 'binlog.000007', offset },
        ...plan,
      },
      {
        tables: { mapped: new Set(['db.t']), keys: new Map(), collations, maxRowBytes: rowBytes },
        untransactional: new Set(untransactional),
        unkeyed: new Set(unkeyed),
        foldsNames,
        partBytes,
        heartbeatUs: 1_000_000,
        clockOffsetUs: 0,
      },
      (progress) => new Outbox(progress, { pause: () => this.pauses.push('pause'), resume: () => this.pauses.push('resume') }),
    );
    this.rotate('binlog.000007', offset);
  }
  get outbox(): Outbox {
    return this.reader.outbox;
  }
  /** The next file begins, as the dump thread says it and as the file itself does. */
  nextFile(name: string): void {
    this.rotate(name, 4);
    this.at = 4;
  }
  rotate(file: string, offset: number): void {
    const rotate = Buffer.alloc(8);
    rotate.writeBigUInt64LE(BigInt(offset));
    this.raw(event(4, Buffer.concat([rotate, Buffer.from(file)]), 0, 0x20));
    this.raw(event(15, Buffer.concat([Buffer.alloc(57), Buffer.alloc(40), Buffer.from([1])]), 0));
  }
  raw(bytes: Buffer): void {
    // Packets lie anywhere in a chunk of the socket.
    const chunk = Buffer.concat([Buffer.from('junk'), bytes, Buffer.from('junk')]);
    const slow = this.reader.event(chunk, 4, 4 + bytes.length);
    if (!slow) chunk.fill(0xee);
    this.slow = slow?.then(() => void chunk.fill(0xee));
  }
  send(type: number, body: Buffer | string = ''): void {
    const bytes = typeof body === 'string' ? hex(body) : body;
    this.at += 23 + bytes.length;
    this.raw(event(type, bytes, this.at));
  }
  gtid(number: number): void {
    this.send(33, `00 ${uuid.replaceAll('-', '')} ${idHex(number)}00000000000000 02 0000000000000000 0000000000000000 40420f00000000`);
  }
  /** MariaDB's: sequence, domain 0, flags, and what they say follows. */
  mariadbGtid(sequence: number, { flags = 0, more = '' } = {}): void {
    const fields = hex(`${idHex(sequence)}00000000000000 00000000 ${idHex(flags)} ${more}`);
    this.send(162, Buffer.concat([fields, Buffer.alloc(Math.max(0, 19 - fields.length))]));
  }
  begin(number = 7): void {
    this.gtid(number);
    this.query('BEGIN');
  }
  query(sql: string): void {
    this.send(2, bodies.query(sql));
  }
  /** `t (id INT NOT NULL PRIMARY KEY)` with FULL metadata. */
  tableMap(): void {
    this.send(19, bodies.tableMap());
  }
  insert(id: number): void {
    this.send(30, bodies.insert(id));
  }
  /** A table of the same columns under another name, with the same id in the binlog. */
  tableMapOf(letter: string): void {
    this.send(19, bodies.tableMap(letter));
  }
  delete(id: number): void {
    this.send(32, bodies.insert(id));
  }
  xid(): void {
    this.send(16, bodies.xid());
  }
}

export const code = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    return (error as CrossfadeError).code;
  }
  return 'nothing thrown';
};
