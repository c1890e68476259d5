/** Savepoints as the binlog shows them: names that the server takes for the same, and names that a trigger sets again. */
import { describe, expect, test } from 'vitest';
import { code, FakeStream } from '../support/binlog-bytes.ts';

const rows = async (stream: FakeStream): Promise<string[]> => {
  stream.xid();
  await stream.slow;
  const { changes } = await stream.outbox.next();
  return changes.map(({ after }) => Buffer.from(after ?? []).toString());
};
const insert = (stream: FakeStream, id: number) => {
  stream.tableMap();
  stream.insert(id);
};
function begun(): FakeStream {
  const stream = new FakeStream(4);
  stream.begin();
  return stream;
}

describe('names', () => {
  test('G1: a name that the server takes for the same replaces the first', async () => {
    const stream = begun();
    insert(stream, 1);
    stream.query('SAVEPOINT a');
    insert(stream, 2);
    stream.query('ROLLBACK TO `Á`');
    stream.query('SAVEPOINT `ä`');
    insert(stream, 3);
    stream.query('ROLLBACK TO a');
    expect(await rows(stream)).toEqual(['{"id":1}']);
    const twice = begun();
    twice.query('SAVEPOINT a');
    insert(twice, 1);
    twice.query('SAVEPOINT `Á`');
    expect(code(() => twice.query('ROLLBACK TO a'))).toBe('SOURCE_EVENT_UNSUPPORTED');
  });

  test.each([
    ['SAVEPOINT й', 'SAVEPOINT и', 'ROLLBACK TO й'],
    ['SAVEPOINT a', 'SAVEPOINT ạ', 'ROLLBACK TO a'],
    ['SAVEPOINT a', 'SAVEPOINT b', 'ROLLBACK TO ạ'],
  ])('G1: letters whose equality only the server knows: %s, %s, %s stops', (first, second, back) => {
    const stream = begun();
    stream.query(first);
    insert(stream, 1);
    stream.query(second);
    expect(code(() => stream.query(back))).toBe('SOURCE_EVENT_UNSUPPORTED');
  });

  test('one such name alone is the one that is meant', async () => {
    const stream = begun();
    insert(stream, 1);
    stream.query('SAVEPOINT 保存');
    insert(stream, 2);
    stream.query('ROLLBACK TO `保存`');
    expect(await rows(stream)).toEqual(['{"id":1}']);
  });
});

describe('a name that is set again', () => {
  test("G1: with rows between: nobody can tell which one counts, for it may be a trigger's own", () => {
    const stream = begun();
    stream.query('SAVEPOINT a');
    insert(stream, 1);
    stream.query('SAVEPOINT A');
    insert(stream, 2);
    stream.query('SAVEPOINT a');
    expect(() => stream.query('ROLLBACK TO a')).toThrow(
      expect.objectContaining({ code: 'SOURCE_EVENT_UNSUPPORTED', remedy: expect.stringContaining('trigger') }),
    );
  });

  test('G1: doubt stays where it is set once more without rows between', () => {
    const stream = begun();
    stream.query('SAVEPOINT a');
    insert(stream, 1);
    stream.query('SAVEPOINT a');
    stream.query('SAVEPOINT a');
    expect(code(() => stream.query('ROLLBACK TO a'))).toBe('SOURCE_EVENT_UNSUPPORTED');
  });

  test('without rows between, or without a rollback to it, nothing is in doubt', async () => {
    const stream = begun();
    stream.query('SAVEPOINT a');
    stream.query('SAVEPOINT a');
    insert(stream, 1);
    stream.query('ROLLBACK TO a');
    stream.query('SAVEPOINT b');
    insert(stream, 2);
    stream.query('SAVEPOINT b');
    insert(stream, 3);
    expect(await rows(stream)).toEqual(['{"id":2}', '{"id":3}']);
  });

  test('what was set behind the one that is returned to is gone, and may be set again', async () => {
    const stream = begun();
    stream.query('SAVEPOINT a');
    insert(stream, 1);
    stream.query('SAVEPOINT b');
    stream.query('ROLLBACK TO a');
    insert(stream, 2);
    insert(stream, 3);
    stream.query('SAVEPOINT b');
    insert(stream, 4);
    stream.query('ROLLBACK TO b');
    expect(await rows(stream)).toEqual(['{"id":2}', '{"id":3}']);
    const late = begun();
    late.query('SAVEPOINT a');
    late.query('SAVEPOINT b');
    late.query('ROLLBACK TO a');
    expect(code(() => late.query('ROLLBACK TO b'))).toBe('SOURCE_EVENT_UNSUPPORTED');
  });
});
