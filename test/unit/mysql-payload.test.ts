/** Compressed transactions: a payload's events come out as they would without it, in bounded memory, and damage stops. */
import { describe, expect, test } from 'vitest';
import { parsePayload, readPayload } from '../../connectors/mysql/stream/payload.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { SourceBatch } from '../../src/core/source-port.ts';
import { versionOf } from '../../src/core/version.ts';
import { bareEvent, bodies, code, FakeStream, payloadBody } from '../support/binlog-bytes.ts';

const text = (bytes: Uint8Array | null) => Buffer.from(bytes ?? []).toString();
const ids = (batch: SourceBatch) => batch.changes.map(({ after, before }) => text(after ?? before));
const errorOf = async (stream: FakeStream, type: number, body: Buffer): Promise<CrossfadeError> => {
  try {
    stream.send(type, body);
    await stream.slow;
  } catch (error) {
    return error as CrossfadeError;
  }
  throw new Error('it was expected to fail');
};

const begin = bareEvent(2, bodies.query('BEGIN'));
const tableMap = bareEvent(19, bodies.tableMap());
const insert = (id: number) => bareEvent(30, bodies.insert(id));
const commit = bareEvent(16, bodies.xid());

/** All batches until the transaction is whole. */
async function whole(stream: FakeStream): Promise<SourceBatch> {
  const changes = [];
  for (;;) {
    const batch = await stream.outbox.next();
    changes.push(...batch.changes);
    if (!batch.open && changes.length > 0) return { ...batch, changes };
  }
}

describe('a compressed transaction', () => {
  test.each([true, false])('its rows share its offset, and their versions go on (compressed: %s)', async (compressed) => {
    const stream = new FakeStream(4);
    stream.gtid(7);
    const at = stream.at;
    stream.send(40, payloadBody([begin, tableMap, insert(1), insert(2), tableMap, insert(3), commit], { compressed }));
    const { changes, position } = await stream.outbox.next();
    expect(changes.map(({ after }) => text(after))).toEqual(['{"id":1}', '{"id":2}', '{"id":3}']);
    expect(changes.map(({ pos, row, ordinal }) => [pos, row, ordinal])).toEqual([
      [at, 0, 0],
      [at, 1, 1],
      [at, 2, 2],
    ]);
    const versions = changes.map(({ transaction, ordinal }) => versionOf(transaction.versionPrefix, ordinal, 2));
    expect(versions).toEqual([0, 1, 2].map((ordinal) => `00000000-00000007-0000000000000004-0000000${ordinal}-2`));
    expect(JSON.parse(position)).toMatchObject({ pos: stream.at });
  });

  test('the fingerprint is that of the same rows uncompressed, so that a source may switch', async () => {
    const plain = new FakeStream(4);
    plain.begin();
    plain.tableMap();
    plain.insert(1);
    plain.xid();
    const packed = new FakeStream(4);
    packed.gtid(7);
    packed.send(40, payloadBody([begin, tableMap, insert(1), commit]));
    const print = async (stream: FakeStream) =>
      (JSON.parse((await stream.outbox.next()).position) as { last: { print: string } }).last.print;
    expect(await print(packed)).toBe(await print(plain));
  });

  test('several in one transaction, and the rest of it outside', async () => {
    const stream = new FakeStream(4);
    stream.gtid(7);
    stream.send(40, payloadBody([begin, tableMap, insert(1)]));
    stream.send(40, payloadBody([insert(2)], { compressed: false }));
    stream.insert(3);
    stream.xid();
    expect(ids(await stream.outbox.next())).toEqual(['{"id":1}', '{"id":2}', '{"id":3}']);
  });

  test('G9: a large one comes in pieces, as fast as there is room, and what follows waits', async () => {
    const count = 30_000;
    const rows = Array.from({ length: count }, (_, index) => insert(index % 256));
    const stream = new FakeStream(4, {}, { partBytes: 100_000 });
    stream.gtid(7);
    stream.send(40, payloadBody([begin, tableMap, ...rows, commit]));
    expect(stream.slow).toBeInstanceOf(Promise);
    const { changes, position } = await whole(stream);
    await stream.slow;
    expect(changes).toHaveLength(count);
    expect(changes.at(-1)).toMatchObject({ ordinal: count - 1 });
    expect(JSON.parse(position)).toMatchObject({ pos: stream.at });
  });

  test('section 9: caughtUp comes with its last row, and not with the first part', async () => {
    const body = payloadBody([begin, tableMap, ...Array.from({ length: 100 }, (_, id) => insert(id)), commit]);
    const probe = new FakeStream(4);
    probe.gtid(7);
    const end = { file: 'binlog.000007', offset: probe.at + 23 + body.length };
    const stream = new FakeStream(4, { end }, { partBytes: 200 });
    stream.gtid(7);
    stream.send(40, body);
    const told: boolean[] = [];
    for (let seen = 0; seen < 100;) {
      const { changes, caughtUp } = await stream.outbox.next();
      seen += changes.length;
      told.push(caughtUp);
    }
    expect(told.length).toBeGreaterThan(3);
    expect(told.indexOf(true)).toBe(told.length - 1);
  });

  test('G9: where there is no room it stops in the middle, and goes on when there is', async () => {
    const large = bareEvent(29, Buffer.alloc(10_000, 'x'));
    const count = 400;
    const body = payloadBody(Array.from({ length: count }, () => large));
    const room = Promise.withResolvers<void>();
    let seen = 0;
    const slow = readPayload(parsePayload(body, 0, body.length), {
      event: () => void (seen += 1),
      room: () => (seen < 40 ? undefined : room.promise),
    });
    await expect.poll(() => seen, { timeout: 10_000 }).toBeGreaterThan(39);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    // A piece is 256 KiB, and not a byte more is asked for.
    expect(seen).toBeLessThan(40 + 2 * 27);
    room.resolve();
    await slow;
    expect(seen).toBe(count);
  });

  test('G9: what fails while it waits for room ends it', async () => {
    const body = payloadBody(Array.from({ length: 200 }, () => bareEvent(29, Buffer.alloc(10_000))));
    const slow = readPayload(parsePayload(body, 0, body.length), {
      event: () => undefined,
      room: () => Promise.reject(new Error('stopped')),
    });
    await expect(slow).rejects.toThrow('stopped');
  });

  test.each([
    ['cut', () => payloadBody([begin, tableMap]).subarray(0, -3)],
    ['not what its header says it decompresses to', () => payloadBody([begin], { claimedBytes: 5 })],
    ['shorter than its header says', () => payloadBody([begin, commit], { claimedBytes: 4000 })],
    ['an event that is cut', () => payloadBody([begin.subarray(0, -1)])],
    ['a header that is cut', () => payloadBody([begin, commit.subarray(0, 10)])],
    ['no zstd', () => Buffer.concat([payloadBody([begin]).subarray(0, 28), Buffer.alloc(payloadBody([begin]).length - 28, 7)])],
    ['a way of compression that nobody knows', () => Buffer.from('0201010001ff', 'hex')],
    ['empty', () => Buffer.alloc(0)],
    ['a GTID inside', () => payloadBody([begin, bareEvent(33, '00'.repeat(50))])],
    ['a payload inside', () => payloadBody([begin, bareEvent(40, payloadBody([commit]))])],
    ['a FORMAT_DESCRIPTION inside', () => payloadBody([bareEvent(15, '00'.repeat(98))])],
  ])('G1: damage stops: %s', (_, body) => {
    const stream = new FakeStream(4);
    stream.gtid(7);
    expect(code(() => stream.send(40, body()))).toBe('SOURCE_EVENT_CORRUPT');
  });

  test('G1: damage in one that is read in pieces stops too', async () => {
    const rows = Array.from({ length: 30_000 }, (_, index) => insert(index % 256));
    const good = payloadBody([begin, tableMap, ...rows, commit]);
    for (const bad of [Buffer.concat([good.subarray(0, good.length >> 1), Buffer.alloc(good.length - (good.length >> 1), 1)])]) {
      const stream = new FakeStream(4);
      stream.gtid(7);
      expect((await errorOf(stream, 40, bad)).code).toBe('SOURCE_EVENT_CORRUPT');
    }
    const short = new FakeStream(4);
    short.gtid(7);
    const claims = payloadBody([begin, tableMap, ...rows], { claimedBytes: 9_000_000 });
    expect((await errorOf(short, 40, claims)).code).toBe('SOURCE_EVENT_CORRUPT');
  });

  test('G1: a refusal inside names the place right behind it', async () => {
    const stream = new FakeStream(4);
    stream.gtid(7);
    const body = payloadBody([begin, bareEvent(2, bodies.query('INSERT INTO t VALUES (1)')), commit]);
    const error = await errorOf(stream, 40, body);
    expect(error.code).toBe('SOURCE_STATEMENT_UNSUPPORTED');
    expect(error.remedy).toContain(`start: { file: binlog.000007, offset: ${stream.at} }`);
  });

  test('G1: an unknown event inside stops', async () => {
    const stream = new FakeStream(4);
    stream.gtid(7);
    expect((await errorOf(stream, 40, payloadBody([begin, bareEvent(99, 'ff'), commit]))).code).toBe('SOURCE_EVENT_UNKNOWN');
  });
});
