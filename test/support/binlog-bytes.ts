/** A binlog as bytes, made by hand and fed to the reader. */
import { crc32 } from 'node:zlib';
import { Outbox } from '../../connectors/mysql/outbox.ts';
import type { MysqlPosition } from '../../connectors/mysql/position.ts';
import type { ReadPlan } from '../../connectors/mysql/read-plan.ts';
import { BinlogReader } from '../../connectors/mysql/reader.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';

export const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
export const from: MysqlPosition = { uuid, epoch: 0, gtid: null, file: 'binlog.000007', pos: 4, last: null, xa: [], throughUs: 0 };
/** One row of `t` is below it as long as its id has fewer than 4 digits. */
const maxRowBytes = 10;
const collations = { charsetOf: new Map([[255, 'utf8mb4']]), maxBytesOf: new Map([['utf8mb4', 4]]) };

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

/** A file as a server would send it, from any offset; `at` counts on by itself. */
export class FakeStream {
  at: number;
  readonly reader: BinlogReader;
  readonly outbox: Outbox;
  readonly pauses: string[] = [];
  constructor(offset: number, plan: Partial<ReadPlan> = {}, { partBytes = 1 << 20, unkeyed = [] as string[] } = {}) {
    this.at = offset;
    this.reader = new BinlogReader(
      {
        from,
        uuid,
        epoch: 0,
        byGtid: false,
        seedGtids: false,
        prove: null,
        dumpGtids: '',
        dumpFrom: { file: 'binlog.000007', offset },
        end: { file: 'binlog.000007', offset },
        ...plan,
      },
      {
        tables: { mapped: new Set(['db.t']), keys: new Map(), collations, maxRowBytes },
        untransactional: new Set(),
        unkeyed: new Set(unkeyed),
        partBytes,
        heartbeatUs: 1_000_000,
        clockOffsetUs: 0,
      },
    );
    this.outbox = new Outbox(
      { position: () => this.reader.position(), throughUs: () => this.reader.throughUs(), caughtUp: () => this.reader.caughtUp() },
      { pause: () => this.pauses.push('pause'), resume: () => this.pauses.push('resume') },
    );
    this.reader.connect(this.outbox);
    const rotate = Buffer.alloc(8);
    rotate.writeBigUInt64LE(BigInt(offset));
    this.raw(event(4, Buffer.concat([rotate, Buffer.from('binlog.000007')]), 0, 0x20));
    this.raw(event(15, Buffer.concat([Buffer.alloc(57), Buffer.alloc(40), Buffer.from([1])]), 0));
  }
  raw(bytes: Buffer): void {
    // Packets lie anywhere in a chunk of the socket.
    const chunk = Buffer.concat([Buffer.from('junk'), bytes, Buffer.from('junk')]);
    this.reader.event(chunk, 4, 4 + bytes.length);
    chunk.fill(0xee);
  }
  send(type: number, body: Buffer | string = ''): void {
    const bytes = typeof body === 'string' ? Buffer.from(body.replace(/\s/g, ''), 'hex') : body;
    this.at += 23 + bytes.length;
    this.raw(event(type, bytes, this.at));
  }
  gtid(number: number): void {
    this.send(
      33,
      `00 ${uuid.replaceAll('-', '')} ${number.toString(16).padStart(2, '0')}00000000000000 02 0000000000000000 0000000000000000 40420f00000000`,
    );
  }
  begin(number = 7): void {
    this.gtid(number);
    this.query('BEGIN');
  }
  query(sql: string): void {
    this.send(2, Buffer.concat([Buffer.alloc(8), Buffer.from([2, 0, 0, 0, 0]), Buffer.from('db\0'), Buffer.from(sql)]));
  }
  /** `t (id INT NOT NULL PRIMARY KEY)` with FULL metadata. */
  tableMap(): void {
    this.send(19, '640000000000 0100 026462 00 0174 00 01 03 00 00 010100 040302 6964 080100');
  }
  insert(id: number): void {
    this.send(30, `640000000000 0100 0200 01 ff 00 ${id.toString(16).padStart(2, '0')}000000`);
  }
  /** A table of the same columns under another name, with the same id in the binlog. */
  tableMapOf(letter: string): void {
    this.send(19, `640000000000 0100 026462 00 01${Buffer.from(letter).toString('hex')} 00 01 03 00 00 010100 040302 6964 080100`);
  }
  delete(id: number): void {
    this.send(32, `640000000000 0100 0200 01 ff 00 ${id.toString(16).padStart(2, '0')}000000`);
  }
  xid(): void {
    this.send(16, '0100000000000000');
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
