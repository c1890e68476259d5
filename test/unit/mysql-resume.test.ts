/** Resuming, byte by byte: offsets beyond 32 bits, and what a dump brings again. */
import { describe, expect, test } from 'vitest';
import type { MysqlPosition } from '../../connectors/mysql/position/position.ts';
import { planNewStart } from '../../connectors/mysql/server/plan-read.ts';
import { bodies, code, event, FakeStream, from, uuid } from '../support/binlog-bytes.ts';

const far = 5 * 2 ** 32 + 1000;
const file = 'binlog.000007';
const positionOf = async (stream: FakeStream) => JSON.parse((await stream.outbox.next()).position) as MysqlPosition;

function transaction(stream: FakeStream, begin: (stream: FakeStream) => void, id: number): void {
  begin(stream);
  stream.tableMap();
  stream.insert(id);
  stream.xid();
}

describe('offsets beyond 32 bits', () => {
  const behindFar: MysqlPosition = { ...from, gtid: `${uuid}:1-6`, pos: far };

  test('a dump by GTID in so large a file begins with the head of the file, and goes on at the true offset', async () => {
    const stream = new FakeStream(4, { from: behindFar, byGtid: true, dumpFrom: { file, offset: far }, end: { file, offset: far } });
    stream.send(35, '0000000000000000');
    stream.at = far;
    transaction(stream, (to) => to.begin(7), 5);
    const { changes, position } = await stream.outbox.next();
    expect(changes[0]?.transaction.versionPrefix).toBe(`00000000-00000007-${far.toString(16).padStart(16, '0')}-`);
    expect(JSON.parse(position)).toMatchObject({ pos: stream.at, last: { pos: far } });
    expect(stream.at).toBeGreaterThan(far);
  });

  test('the transaction to prove is found there too, and nothing is taken for another epoch', async () => {
    const first = new FakeStream(4, { from: behindFar, byGtid: true, dumpFrom: { file, offset: far }, end: { file, offset: far } });
    first.at = far;
    transaction(first, (to) => to.begin(7), 5);
    const position = await positionOf(first);
    const again = new FakeStream(4, {
      from: position,
      byGtid: true,
      prove: position.last,
      dumpFrom: { file, offset: far },
      end: { file, offset: position.pos },
    });
    again.at = far;
    transaction(again, (to) => to.begin(7), 5);
    transaction(again, (to) => to.begin(8), 6);
    const { changes, position: behind } = await again.outbox.next();
    expect(changes.map((change) => change.ordinal)).toEqual([0]);
    expect(changes[0]?.transaction).toMatchObject({ id: `${uuid}:8`, versionPrefix: expect.stringMatching(/^00000000-/) });
    expect(JSON.parse(behind)).toMatchObject({ epoch: 0, pos: again.at });
  });

  test.each([1000, far])('what was written but not executed when the end was asked lies before it, and is there (%i)', async (end) => {
    const at = end - 500;
    const plan = { from: { ...behindFar, pos: end }, byGtid: true, dumpFrom: { file, offset: end }, end: { file, offset: end } };
    const stream = new FakeStream(4, plan);
    stream.at = at;
    transaction(stream, (to) => to.begin(7), 5);
    expect(stream.reader.caughtUp()).toBe(false);
    const position = await positionOf(stream);
    expect(position).toMatchObject({ gtid: `${uuid}:1-7`, pos: stream.at, last: { pos: at } });
    expect(stream.at).toBeLessThan(end);
  });

  test('an idle server says by its heartbeat that it stands at the end that we know', async () => {
    const stream = new FakeStream(4, { from: behindFar, byGtid: true, dumpFrom: { file, offset: far }, end: { file, offset: far } });
    expect(stream.reader.caughtUp()).toBe(false);
    stream.raw(event(27, Buffer.from(file), far));
    expect(stream.reader.caughtUp()).toBe(true);
  });
});

describe('MariaDB', () => {
  const mariadb: MysqlPosition = { ...from, flavor: 'mariadb', uuid: 'mariadb:1@host:3306', gtid: '0-1-6,1-1-3', pos: 4 };
  const plan = { from: mariadb, uuid: mariadb.uuid, byGtid: true };
  const gtid = (domain: number, sequence: number) => (stream: FakeStream) => {
    const body = Buffer.alloc(19);
    body.writeBigUInt64LE(BigInt(sequence), 0);
    body.writeUInt32LE(domain, 8);
    stream.send(162, body);
  };

  test('a position tells what was before the last transaction in its domain', async () => {
    const stream = new FakeStream(4, plan);
    transaction(stream, gtid(0, 7), 5);
    transaction(stream, gtid(1, 4), 6);
    transaction(stream, gtid(2, 1), 7);
    const { changes, position } = await stream.outbox.next();
    expect(changes.map((change) => change.transaction.gtid)).toEqual(['0-1-7', '1-1-4', '2-1-1']);
    expect(JSON.parse(position)).toMatchObject({ gtid: '0-1-7,1-1-4,2-1-1', last: { gtid: '2-1-1', before: null } });
    const next = new FakeStream(4, plan);
    transaction(next, gtid(0, 7), 5);
    expect(await positionOf(next)).toMatchObject({ gtid: '0-1-7,1-1-3', last: { gtid: '0-1-7', before: '0-1-6' } });
  });

  test('what comes again behind an older place is passed over up to the position, whichever domain is in between', async () => {
    const first = new FakeStream(4, plan);
    transaction(first, gtid(0, 7), 5);
    const position = await positionOf(first);
    const stream = new FakeStream(4, {
      ...plan,
      from: { ...position, gtid: '0-1-7,1-1-3' },
      prove: position.last,
      skipUntil: ['0-1-7'],
      dumpGtids: '0-1-4,1-1-3',
    });
    for (const [domain, sequence] of [
      [0, 5],
      [0, 6],
    ] as const)
      transaction(stream, gtid(domain, sequence), sequence);
    transaction(stream, gtid(0, 7), 5);
    transaction(stream, gtid(0, 8), 8);
    const { changes, position: behind } = await stream.outbox.next();
    expect(changes.map((change) => change.transaction.gtid)).toEqual(['0-1-8']);
    expect(JSON.parse(behind)).toMatchObject({ gtid: '0-1-8,1-1-3', last: { gtid: '0-1-8', before: '0-1-7' } });
  });

  test('a position that is taken while older transactions come again still says that they were read', () => {
    const stream = new FakeStream(4, {
      ...plan,
      from: { ...mariadb, gtid: '0-1-9,1-1-3' },
      skipUntil: ['0-1-9'],
      dumpGtids: '0-1-4,1-1-3',
    });
    for (const sequence of [5, 6, 7]) {
      transaction(stream, gtid(0, sequence), 5);
      expect(JSON.parse(stream.reader.position())).toMatchObject({ gtid: '0-1-9,1-1-3' });
    }
  });

  test('a new pipeline passes over what lies before its start, in order, and meets the XA transactions that are open there', async () => {
    const at = { ...mariadb, gtid: '0-1-8,1-1-4', pos: 4 };
    const stream = new FakeStream(4, { ...planNewStart(at, mariadb), end: { file, offset: 500 } });
    transaction(stream, gtid(0, 7), 5);
    stream.mariadbGtid(8, { flags: 0x40, more: '01000000 01 00 61' });
    stream.tableMap();
    stream.insert(6);
    stream.query("XA END X'61',X'',1");
    stream.send(38, bodies.xaPrepare('a'));
    transaction(stream, gtid(1, 4), 7);
    stream.outbox.beat();
    const { changes, position } = await stream.outbox.next();
    expect(changes).toEqual([]);
    expect(JSON.parse(position)).toMatchObject({
      gtid: '0-1-8,1-1-4',
      last: null,
      xa: [{ gtid: '0-1-8', before: '0-1-7', captured: true }],
    });
    transaction(stream, gtid(0, 9), 8);
    expect((await stream.outbox.next()).changes.map(({ transaction }) => transaction.gtid)).toEqual(['0-1-9']);
  });

  test('a sequence that goes back stops: the position could not tell it from what was read', () => {
    const stream = new FakeStream(4, plan);
    expect(code(() => transaction(stream, gtid(0, 6), 5))).toBe('SOURCE_EVENT_UNSUPPORTED');
  });

  test('events inside a transaction may have no place of their own', async () => {
    const stream = new FakeStream(4, plan);
    gtid(0, 7)(stream);
    const inside = (type: number, hex: string) => {
      const bytes = event(type, Buffer.from(hex.replace(/\s/g, ''), 'hex'), 0);
      stream.at += bytes.length;
      stream.raw(bytes);
    };
    inside(19, '640000000000 0100 026462 00 0174 00 01 03 00 00 010100 040302 6964 080100');
    const rowsAt = stream.at;
    inside(30, '640000000000 0100 0200 01 ff 00 05000000');
    stream.xid();
    const { changes, position } = await stream.outbox.next();
    expect(changes[0]?.pos).toBe(rowsAt);
    expect(JSON.parse(position)).toMatchObject({ pos: stream.at });
  });
});
