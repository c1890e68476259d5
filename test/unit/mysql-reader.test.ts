/** Events as bytes: the closed table, checksums, offsets beyond 4 GiB, and what a damaged stream does. */
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { treatmentOf } from '../../connectors/mysql/events.ts';
import { Outbox } from '../../connectors/mysql/outbox.ts';
import type { ReadPlan } from '../../connectors/mysql/read-plan.ts';
import { BinlogReader } from '../../connectors/mysql/reader.ts';
import type { MysqlPosition } from '../../connectors/mysql/position.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const from: MysqlPosition = { uuid, epoch: 0, gtid: null, file: 'binlog.000007', pos: 4, last: null, xa: [], throughUs: 0 };
const collations = { charsetOf: new Map([[255, 'utf8mb4']]), maxBytesOf: new Map([['utf8mb4', 4]]) };

function event(type: number, body: Buffer, end: number, flags = 0): Buffer {
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
class FakeStream {
  at: number;
  readonly reader: BinlogReader;
  readonly outbox: Outbox;
  readonly pauses: string[] = [];
  constructor(offset: number, plan: Partial<ReadPlan> = {}) {
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
        tables: { mapped: new Set(['db.t']), keys: new Map(), collations },
        untransactional: new Set(),
        partBytes: 1 << 20,
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
  begin(number = 7): void {
    this.send(
      33,
      `00 ${uuid.replaceAll('-', '')} ${number.toString(16).padStart(2, '0')}00000000000000 02 0000000000000000 0000000000000000 40420f00000000`,
    );
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
  xid(): void {
    this.send(16, '0100000000000000');
  }
}

const code = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    return (error as CrossfadeError).code;
  }
  return 'nothing thrown';
};

test('G1: every type byte is handled, ignored or stops; an unknown one stops', () => {
  const outcomes = Array.from({ length: 256 }, (_, type) => code(() => treatmentOf(type, 'binlog.000001:4')));
  const typesOf = (code: string) => outcomes.flatMap((outcome, type) => (outcome === code ? [type] : []));
  expect(typesOf('SOURCE_EVENT_UNKNOWN')).toEqual([0, ...Array.from({ length: 256 - 43 }, (_, index) => 43 + index)]);
  expect(typesOf('SOURCE_EVENT_UNSUPPORTED')).toEqual([1, 6, 7, 8, 9, 10, 11, 12, 17, 18, 20, 21, 22, 26, 39, 40]);
});

describe('a stream of bytes', () => {
  test('a transaction comes out with its place and images', async () => {
    const stream = new FakeStream(4);
    stream.begin();
    stream.tableMap();
    stream.insert(5);
    stream.xid();
    const { changes, position } = await stream.outbox.next();
    expect(changes).toHaveLength(1);
    expect(Buffer.from(changes[0]?.after ?? []).toString()).toBe('{"id":5}');
    expect(Buffer.from(changes[0]?.key ?? []).toString()).toBe('{"id":5}');
    expect(changes[0]?.transaction).toMatchObject({
      id: `${uuid}:7`,
      committedAtUs: 1_000_000,
      versionPrefix: '00000000-00000007-0000000000000004-',
    });
    expect(JSON.parse(position)).toMatchObject({ file: 'binlog.000007', pos: stream.at, last: { pos: 4 } });
  });

  test('offsets go on beyond 4 GiB', async () => {
    const begin = 2 ** 32 - 30;
    const stream = new FakeStream(begin);
    for (const id of [1, 2]) {
      stream.begin(id);
      stream.tableMap();
      stream.insert(id);
      stream.xid();
    }
    const { changes, position } = await stream.outbox.next();
    const offsets = changes.map(({ transaction }) => Number.parseInt(transaction.versionPrefix.slice(18, 34), 16));
    expect(offsets[0]).toBe(begin);
    expect(offsets[1]).toBeGreaterThan(2 ** 32);
    expect(changes.every(({ pos }, index) => pos > (offsets[index] ?? 0))).toBe(true);
    expect(JSON.parse(position)).toMatchObject({ pos: stream.at });
  });

  test('a flipped bit is seen', () => {
    const stream = new FakeStream(4);
    stream.begin();
    const bytes = event(16, Buffer.alloc(8), 500);
    bytes[20] = 1;
    expect(code(() => stream.raw(bytes))).toBe('SOURCE_EVENT_CORRUPT');
  });

  test.each([
    ['rows without a transaction', (stream: FakeStream) => stream.insert(1)],
    ['rows of a table that was not described', (stream: FakeStream) => (stream.begin(), stream.insert(1))],
    ['a transaction inside another', (stream: FakeStream) => (stream.begin(), stream.begin())],
    ['an event that is shorter than its header says', (stream: FakeStream) => stream.raw(event(16, Buffer.alloc(8), 500).subarray(0, 25))],
    [
      'a row that is cut',
      (stream: FakeStream) => (stream.begin(), stream.tableMap(), stream.send(30, '640000000000 0100 0200 01 ff 00 0100')),
    ],
  ])('%s is damage', (_, send) => {
    expect(code(() => send(new FakeStream(4)))).toBe('SOURCE_EVENT_CORRUPT');
  });

  test('a column type that nobody knows stops, captured or not', () => {
    const stream = new FakeStream(4);
    stream.begin();
    stream.send(19, '640000000000 0100 026462 00 0175 00 01 c8 00 00');
    expect(code(() => stream.insert(1))).toBe('SOURCE_TYPE_UNSUPPORTED');
  });

  test('the last transaction is met again, proven by its content and not handed on; another content stops', async () => {
    const first = new FakeStream(4);
    const send = (stream: FakeStream, id: number) => {
      stream.begin();
      stream.tableMap();
      stream.insert(id);
      stream.xid();
    };
    send(first, 5);
    const position = JSON.parse((await first.outbox.next()).position) as MysqlPosition;
    const again = new FakeStream(4, { from: position, prove: position.last });
    send(again, 5);
    again.begin(8);
    again.tableMap();
    again.insert(6);
    again.xid();
    const batch = await again.outbox.next();
    expect(batch.changes.map(({ transaction }) => transaction.id)).toEqual([`${uuid}:8`]);
    const other = new FakeStream(4, { from: position, prove: position.last });
    expect(code(() => send(other, 6))).toBe('SOURCE_HISTORY_DIVERGED');
  });
});
