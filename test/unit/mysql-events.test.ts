/** Events of both flavors as bytes: MariaDB's GTIDs and compressed rows, checksums that change, TRUNCATE. */
import { describe, expect, test } from 'vitest';
import type { SourceBatch } from '../../src/core/source-port.ts';
import { bareEvent, bodies, code, event, FakeStream, from, mariadbCompressed, uuid } from '../support/binlog-bytes.ts';

const text = (bytes: Uint8Array | null) => Buffer.from(bytes ?? []).toString();
const ids = (batch: SourceBatch) => batch.changes.map(({ after, before }) => text(after ?? before));

describe('checksums', () => {
  const format = (algorithm: number) => Buffer.concat([Buffer.alloc(97), Buffer.from([algorithm])]);
  test('G1: FORMAT_DESCRIPTION switches them off and on again', async () => {
    const stream = new FakeStream(4);
    const bare = (type: number, body: Buffer) => {
      stream.at += 19 + body.length;
      stream.raw(bareEvent(type, body, stream.at));
    };
    stream.begin(1);
    stream.tableMap();
    stream.insert(1);
    stream.xid();
    stream.raw(event(15, format(0), 0));
    const gtid = Buffer.from(`00${uuid.replaceAll('-', '')}020000000000000002${'00'.repeat(16)}40420f00000000`, 'hex');
    bare(33, gtid);
    bare(2, bodies.query('BEGIN'));
    bare(19, bodies.tableMap());
    bare(30, bodies.insert(2));
    bare(16, bodies.xid());
    stream.raw(event(15, format(1), 0));
    stream.begin(3);
    stream.tableMap();
    stream.insert(3);
    stream.xid();
    expect(ids(await stream.outbox.next())).toEqual(['{"id":1}', '{"id":2}', '{"id":3}']);
  });

  test('G1: an algorithm that nobody knows stops', () => {
    const stream = new FakeStream(4);
    expect(code(() => stream.raw(event(15, format(2), 0)))).toBe('SOURCE_EVENT_CORRUPT');
  });

  test('G1: every flipped bit of a checksummed event is seen', () => {
    for (let bit = 0; bit < 8; bit += 1) {
      for (let at = 0; at < 27; at += 1) {
        const stream = new FakeStream(4);
        stream.begin();
        const bytes = event(16, bodies.xid(), stream.at + 31);
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        // A byte more or less that the header claims is seen before the checksum is.
        expect(code(() => stream.raw(bytes))).toBe('SOURCE_EVENT_CORRUPT');
      }
    }
  });
});

describe('MariaDB', () => {
  const mariadb = (more = {}) => new FakeStream(4, { from: { ...from, flavor: 'mariadb', gtid: '' }, byGtid: true, ...more });

  test('its GTID is the BEGIN, and a commit time in seconds is all that it tells', async () => {
    const stream = mariadb();
    stream.mariadbGtid(8);
    stream.send(160, Buffer.from('INSERT'));
    stream.tableMap();
    stream.send(23, '640000000000 0100 01 ff 00 05000000');
    stream.xid();
    const { changes, position } = await stream.outbox.next();
    expect(changes[0]?.transaction).toMatchObject({ id: '0-1-8', gtid: '0-1-8', committedAtUs: 1_700_000_000_000_000 });
    expect(JSON.parse(position)).toMatchObject({ gtid: '0-1-8', last: { gtid: '0-1-8', before: null } });
  });

  test('a statement alone is the whole transaction', async () => {
    const stream = mariadb();
    stream.mariadbGtid(8, { flags: 0x29 });
    stream.query('CREATE TABLE u (id INT)');
    stream.mariadbGtid(9, { flags: 0x0e, more: '0700000000000000' });
    stream.tableMap();
    stream.insert(5);
    stream.query('COMMIT');
    expect(ids(await stream.outbox.next())).toEqual(['{"id":5}']);
  });

  test('compressed rows and statements', async () => {
    const stream = mariadb();
    stream.mariadbGtid(8);
    stream.tableMap();
    stream.send(
      166,
      Buffer.concat([Buffer.from('640000000000010001ff', 'hex'), mariadbCompressed(Buffer.from('00050000000006000000', 'hex'))]),
    );
    stream.send(169, Buffer.concat([Buffer.from('6400000000000100020001ff', 'hex'), mariadbCompressed(Buffer.from('0007000000', 'hex'))]));
    stream.send(
      170,
      Buffer.concat([Buffer.from('6400000000000100020001ffff', 'hex'), mariadbCompressed(Buffer.from('00070000000008000000', 'hex'))]),
    );
    stream.send(168, Buffer.concat([Buffer.from('640000000000010001ff', 'hex'), mariadbCompressed(Buffer.from('0005000000', 'hex'))]));
    stream.xid();
    const { changes } = await stream.outbox.next();
    expect(changes.map(({ op, before, after }) => `${op} ${text(before)} ${text(after)}`.trim())).toEqual([
      'c  {"id":5}',
      'c  {"id":6}',
      'c  {"id":7}',
      'u {"id":7} {"id":8}',
      'd {"id":5}',
    ]);
    stream.mariadbGtid(9, { flags: 0x29 });
    const query = bodies.query('');
    expect(code(() => stream.send(165, Buffer.concat([query, mariadbCompressed(Buffer.from('DROP TABLE t'))])))).toBe(
      'SOURCE_STATEMENT_UNSUPPORTED',
    );
  });

  test.each([
    ['no form byte', '00'],
    ['another algorithm', '94 000000 05 789c'],
    ['no length', '80 789c'],
    ['a length that is not true', '81 50 789c6366606000000009 0004'],
    ['no zlib', '81 05 ffffffff'],
    ['nothing', ''],
  ])('G1: damaged compressed rows stop: %s', (_, hex) => {
    const stream = mariadb();
    stream.mariadbGtid(8);
    stream.tableMap();
    expect(code(() => stream.send(166, `640000000000010001ff ${hex}`))).toBe('SOURCE_EVENT_CORRUPT');
  });

  test('G1: an ALTER that is written when it starts is judged when it is decided', () => {
    const stream = mariadb();
    stream.mariadbGtid(8, { flags: 0x29, more: '02' });
    stream.query('ALTER TABLE t DROP COLUMN a');
    stream.mariadbGtid(9, { flags: 0x29, more: '08 0800000000000000' });
    stream.query('ALTER TABLE t DROP COLUMN a');
    stream.mariadbGtid(10, { flags: 0x29, more: '04 0800000000000000' });
    expect(code(() => stream.query('ALTER TABLE t DROP COLUMN a'))).toBe('SOURCE_STATEMENT_UNSUPPORTED');
  });

  test('START_ENCRYPTION that the server marks is of no concern; from elsewhere it stops', () => {
    const stream = mariadb();
    stream.raw(event(164, Buffer.alloc(17), 0, 0xa0));
    expect(code(() => stream.raw(event(164, Buffer.alloc(17), 0, 0x20)))).toBe('SOURCE_EVENT_UNSUPPORTED');
  });

  test('the set at a file start is collected from its GTID_LIST', async () => {
    const stream = mariadb({ seedGtids: true, from: { ...from, flavor: 'mariadb', gtid: '' } });
    const list = '03000000 00000000 01000000 0500000000000000 00000000 02000000 0400000000000000 07000000 01000000 0900000000000000';
    stream.send(163, list);
    stream.mariadbGtid(6);
    stream.tableMap();
    stream.insert(1);
    stream.xid();
    // The newest of a domain is its last in the list.
    expect(JSON.parse((await stream.outbox.next()).position)).toMatchObject({ gtid: '0-1-6,7-1-9', last: { before: '0-2-4' } });
  });
});

describe('TRUNCATE of a captured table', () => {
  test('is a change of its own', async () => {
    const stream = new FakeStream(4);
    stream.begin(1);
    stream.tableMap();
    stream.insert(1);
    stream.xid();
    stream.gtid(2);
    const at = stream.at;
    stream.query('TRUNCATE TABLE `t`');
    stream.begin(3);
    stream.tableMap();
    stream.insert(1);
    stream.xid();
    const { changes } = await stream.outbox.next();
    expect(changes.map(({ op }) => op)).toEqual(['c', 't', 'c']);
    expect(changes[1]).toMatchObject({
      before: null,
      after: null,
      oldKey: null,
      ordinal: 0,
      pos: at,
      row: 0,
      transaction: { id: `${uuid}:2` },
    });
    expect(changes[1]?.key).toHaveLength(0);
    expect(changes[1]?.schema).toBe(changes[0]?.schema);
  });

  test('G1: spelt with other letters, or of a table that nobody described, it stops', () => {
    const stream = new FakeStream(4);
    stream.gtid(1);
    expect(code(() => stream.query('TRUNCATE T'))).toBe('SOURCE_STATEMENT_UNSUPPORTED');
    expect(code(() => stream.query('TRUNCATE t'))).toBe('SOURCE_STATEMENT_UNSUPPORTED');
  });

  test("of a session's own temporary table it is none", async () => {
    const stream = new FakeStream(4);
    stream.begin(1);
    stream.tableMap();
    stream.insert(1);
    stream.xid();
    stream.gtid(2);
    const body = bodies.query('TRUNCATE TABLE t');
    stream.at += 23 + body.length;
    stream.raw(event(2, body, stream.at, 0x04));
    expect((await stream.outbox.next()).changes.map(({ op }) => op)).toEqual(['c']);
  });
});
