/** XA in two phases: rows wait for XA COMMIT, through restarts too; savepoints and rollbacks of large transactions. */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { MysqlPosition } from '../../connectors/mysql/position/position.ts';
import type { RowChange, SourceBatch } from '../../src/core/source-port.ts';
import { bodies, code, FakeStream, from, uuid } from '../support/binlog-bytes.ts';

const text = (bytes: Uint8Array | null) => Buffer.from(bytes ?? []).toString();
const images = (changes: readonly RowChange[]) => changes.map(({ after, before }) => text(after ?? before));
const positionOf = (batch: SourceBatch) => JSON.parse(batch.position) as MysqlPosition;

function prepare(stream: FakeStream, letter: string, rows: readonly number[], number: number, table = 't'): void {
  stream.gtid(number);
  stream.query(`XA START X'${Buffer.from(letter).toString('hex')}',X'',1`);
  stream.tableMapOf(table);
  for (const id of rows) stream.insert(id);
  stream.query(`XA END X'${Buffer.from(letter).toString('hex')}',X'',1`);
  stream.send(38, bodies.xaPrepare(letter));
}
const end = (stream: FakeStream, word: 'COMMIT' | 'ROLLBACK', letter: string, number: number) => {
  stream.gtid(number);
  stream.query(`XA ${word} X'${Buffer.from(letter).toString('hex')}',X'',1`);
};
function plain(stream: FakeStream, id: number, number: number): void {
  stream.begin(number);
  stream.tableMap();
  stream.insert(id);
  stream.xid();
}

/** What is there without waiting for more: the last batch of a beat. */
async function everything(stream: FakeStream): Promise<{ changes: RowChange[]; last: MysqlPosition }> {
  stream.outbox.beat();
  const changes: RowChange[] = [];
  for (;;) {
    const batch = await stream.outbox.next();
    changes.push(...batch.changes);
    if (stream.outbox.bytes === 0 && !batch.open) return { changes, last: positionOf(batch) };
  }
}

test('G1: the rows come with XA COMMIT, as its transaction and at its place', async () => {
  const stream = new FakeStream(4);
  prepare(stream, 'a', [1, 2], 1);
  plain(stream, 3, 2);
  const commitAt = stream.at;
  const queryAt = commitAt + 23 + 49;
  end(stream, 'COMMIT', 'a', 3);
  const { changes, last } = await everything(stream);
  expect(images(changes)).toEqual(['{"id":3}', '{"id":1}', '{"id":2}']);
  expect(changes.slice(1).map(({ transaction, ordinal, pos, row }) => [transaction.id, ordinal, pos, row])).toEqual([
    [`${uuid}:3`, 0, queryAt, 0],
    [`${uuid}:3`, 1, queryAt, 1],
  ]);
  expect(changes[1]?.transaction.versionPrefix).toBe(`00000000-00000007-${commitAt.toString(16).padStart(16, '0')}-`);
  expect(last.xa).toEqual([]);
});

test('G1: XA ROLLBACK discards them, and one phase is an ordinary transaction', async () => {
  const stream = new FakeStream(4);
  prepare(stream, 'a', [1], 1);
  end(stream, 'ROLLBACK', 'a', 2);
  stream.gtid(3);
  stream.query("XA START X'62',X'',1");
  stream.tableMap();
  stream.insert(2);
  stream.query("XA END X'62',X'',1");
  stream.send(38, bodies.xaPrepare('b', true));
  const { changes, last } = await everything(stream);
  expect(images(changes)).toEqual(['{"id":2}']);
  expect(changes[0]?.transaction.id).toBe(`${uuid}:3`);
  expect(last.xa).toEqual([]);
});

test('the position lists what is open, with and without rows of ours', async () => {
  const stream = new FakeStream(4);
  prepare(stream, 'a', [1], 1);
  const second = stream.at;
  prepare(stream, 'b', [1], 2, 'u');
  const { last } = await everything(stream);
  expect(last.xa).toEqual([
    { xid: "x'61',x'',1", gtid: `${uuid}:1`, before: null, file: 'binlog.000007', pos: 4, captured: true },
    { xid: "x'62',x'',1", gtid: `${uuid}:2`, before: null, file: 'binlog.000007', pos: second, captured: false },
  ]);
});

test('G1: an XA COMMIT of a transaction that was not seen stops', () => {
  const stream = new FakeStream(4);
  expect(code(() => end(stream, 'COMMIT', 'a', 1))).toBe('SOURCE_EVENT_UNSUPPORTED');
});

describe('a new reading', () => {
  const script: [string, (stream: FakeStream) => void][] = [
    ['prepare a', (stream) => prepare(stream, 'a', [1, 2], 1)],
    ['prepare b', (stream) => prepare(stream, 'b', [3], 2, 'u')],
    ['plain', (stream) => plain(stream, 4, 3)],
    ['prepare c', (stream) => prepare(stream, 'c', [5], 4)],
    ['rollback c', (stream) => end(stream, 'ROLLBACK', 'c', 5)],
    ['prepare c again', (stream) => prepare(stream, 'c', [6], 6)],
    ['commit b', (stream) => end(stream, 'COMMIT', 'b', 7)],
    ['plain again', (stream) => plain(stream, 7, 8)],
    ['commit a', (stream) => end(stream, 'COMMIT', 'a', 9)],
    ['commit c', (stream) => end(stream, 'COMMIT', 'c', 10)],
    ['plain at last', (stream) => plain(stream, 8, 11)],
  ];
  const run = (stream: FakeStream, from: number, to = script.length) => {
    for (const [, step] of script.slice(from, to)) step(stream);
  };

  test.each(script.map(([name], index) => [index + 1, name] as const))(
    'G1 G5: at step %i (behind "%s") loses and doubles nothing',
    async (cut) => {
      const whole = new FakeStream(4);
      run(whole, 0);
      const expected = images((await everything(whole)).changes);
      const first = new FakeStream(4);
      run(first, 0, cut);
      const { changes, last } = await everything(first);
      const captured = last.xa.filter((xa) => xa.captured);
      // As plan-read.ts does it: from the oldest of what must be read again.
      const begins = [...captured, ...(last.last ? [last.last] : [])];
      const oldest = begins.reduce((least, begin) => Math.min(least, begin.pos), Number.POSITIVE_INFINITY);
      const again = new FakeStream(4, {
        from: last,
        prove: last.last,
        held: captured,
        dumpFrom: { file: 'binlog.000007', offset: oldest },
      });
      let skipping = true;
      const probe = new FakeStream(4);
      for (const [index, [, step]] of script.entries()) {
        if (probe.at >= oldest) skipping = false;
        if (skipping) again.at = probe.at + lengthOf(step);
        else step(again);
        probe.at += lengthOf(step);
        if (index === script.length - 1) expect(again.at).toBe(probe.at);
      }
      const rest = await everything(again);
      expect([...images(changes), ...images(rest.changes)]).toEqual(expected);
      expect(rest.last.xa).toEqual([]);
    },
  );

  function lengthOf(step: (stream: FakeStream) => void): number {
    const stream = new FakeStream(4);
    // Only the length counts: what the step refers to is made up first.
    prepare(stream, 'a', [], 1);
    prepare(stream, 'b', [], 1);
    prepare(stream, 'c', [], 1);
    const begin = stream.at;
    step(stream);
    return stream.at - begin;
  }
});

test('G1: an open XA transaction stays in the position until it was read again', async () => {
  const held = { xid: "x'61',x'',1", gtid: `${uuid}:1`, before: null, file: 'binlog.000007', pos: 4, captured: true };
  const position: MysqlPosition = { ...from, gtid: `${uuid}:1-2`, xa: [held] };
  const stream = new FakeStream(4, { from: position, byGtid: true, held: [held] });
  plain(stream, 5, 3);
  expect((await everything(stream)).last.xa).toEqual([held]);
  // On a server where its end comes before its beginning something is wrong.
  expect(code(() => end(stream, 'COMMIT', 'a', 4))).toBe('SOURCE_EVENT_UNSUPPORTED');
});

describe('G9: more than memory holds', () => {
  const files = () => readdirSync(tmpdir()).filter((name) => name.startsWith('crossfade-held-'));

  test('an XA transaction waits in a file without a name, and comes in parts', async () => {
    const stream = new FakeStream(4, {}, { partBytes: 2000 });
    const rows = Array.from({ length: 1000 }, (_, index) => index % 256);
    prepare(stream, 'a', rows, 1);
    expect(files()).toEqual([]);
    end(stream, 'COMMIT', 'a', 2);
    expect(stream.slow).toBeInstanceOf(Promise);
    await stream.slow;
    const batches: SourceBatch[] = [];
    do batches.push(await stream.outbox.next());
    while (batches.at(-1)?.open !== false || batches.flatMap(({ changes }) => changes).length === 0);
    const changes = batches.flatMap((batch) => batch.changes);
    expect(images(changes)).toEqual(rows.map((id) => `{"id":${id}}`));
    expect(changes.map(({ ordinal }) => ordinal)).toEqual(rows.map((_, index) => index));
    expect(new Set(changes.map(({ transaction }) => transaction)).size).toBe(1);
    expect(batches.length).toBeGreaterThan(2);
  });

  test('a transaction with a savepoint waits too, so that what is rolled back to it never went out', async () => {
    const stream = new FakeStream(4, {}, { partBytes: 500 });
    stream.begin();
    stream.tableMap();
    for (let id = 0; id < 100; id += 1) stream.insert(id);
    stream.query('SAVEPOINT a');
    for (let id = 100; id < 200; id += 1) stream.insert(id);
    stream.query('SAVEPOINT b');
    for (let id = 200; id < 256; id += 1) stream.insert(id);
    stream.query('ROLLBACK TO b');
    stream.insert(7);
    stream.query('ROLLBACK TO a');
    stream.insert(9);
    stream.xid();
    await stream.slow;
    const { changes } = await everything(stream);
    expect(images(changes)).toEqual([...Array.from({ length: 100 }, (_, id) => `{"id":${id}}`), '{"id":9}']);
    // All rows of the source are counted, those that were taken back too.
    expect(changes.at(-1)?.ordinal).toBe(257);
  });

  test('G1: a savepoint set before a part went ahead cannot be returned to, and says so', () => {
    const stream = new FakeStream(4, {}, { partBytes: 20 });
    stream.begin();
    stream.tableMap();
    stream.insert(1);
    stream.query('SAVEPOINT a');
    for (let id = 0; id < 20; id += 1) stream.insert(id);
    expect(code(() => stream.query('ROLLBACK'))).toBe('nothing thrown');
    const late = new FakeStream(4, {}, { partBytes: 20 });
    late.begin();
    late.tableMap();
    for (let id = 0; id < 20; id += 1) late.insert(id);
    late.query('SAVEPOINT a');
    expect(code(() => late.query('ROLLBACK'))).toBe('SOURCE_EVENT_UNSUPPORTED');
  });

  test('rows of an engine that does not roll back stay', async () => {
    for (const partBytes of [20, 1 << 20]) {
      const stream = new FakeStream(4, {}, { partBytes, untransactional: ['db.t'] });
      stream.begin();
      stream.query('SAVEPOINT a');
      stream.tableMap();
      for (let id = 0; id < 10; id += 1) stream.insert(id);
      stream.query('ROLLBACK');
      await stream.slow;
      expect(images((await everything(stream)).changes)).toHaveLength(10);
    }
  });

  test('many that are small each leave memory too, and all come back', async () => {
    const stream = new FakeStream(4, {}, { partBytes: 1 << 20 });
    const rows = Array.from({ length: 2000 }, () => 200);
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    for (let number = 0; number < 140; number += 1) prepare(stream, `${number}`, rows, 1);
    expect(open()).toBeGreaterThan(before);
    let seen = 0;
    for (let number = 0; number < 140; number += 1) {
      end(stream, 'COMMIT', `${number}`, 2);
      await stream.slow;
      while (stream.outbox.bytes > 0) seen += (await stream.outbox.next()).changes.length;
    }
    expect(seen).toBe(140 * 2000);
    expect(open()).toBeLessThanOrEqual(before);
  }, 60_000);

  test('the reader that ends closes its files', () => {
    const stream = new FakeStream(4, {}, { partBytes: 500 });
    prepare(
      stream,
      'a',
      Array.from({ length: 500 }, () => 200),
      1,
    );
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    stream.reader[Symbol.dispose]();
    expect(open()).toBeLessThan(before);
  });
});
