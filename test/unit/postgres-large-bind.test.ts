import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { largeBind } from '../../connectors/postgres/large-bind.ts';

/** pg's own writer of messages, as pg finds it. */
const { serialize } = createRequire(import.meta.resolve('pg'))(['pg', 'protocol'].join('-')) as {
  readonly serialize: { bind(message: { statement: string; values: unknown[] }): Buffer };
};

test('a message with large values is the one that pg would send, and the large values are not copied', () => {
  const binary = Buffer.alloc(2_000_000, 'b');
  const values = ['small', null, binary, 'ж'.repeat(2_000_000), '', Buffer.from([1, 2])];
  const pieces = largeBind('name', values);
  const [message, expected] = [Buffer.concat(pieces ?? []), serialize.bind({ statement: 'name', values: [...values] })];
  // pg names the form of results once for all of them; none at all means the same: text.
  const body = (bytes: Buffer, tail: number) => bytes.subarray(5, bytes.length - tail);
  expect(body(message, 2).equals(body(expected, 4))).toBe(true);
  expect(message.subarray(-2)).toEqual(Buffer.from([0, 0]));
  expect([message[0], message.readInt32BE(1)]).toEqual([0x42, message.length - 1]);
  expect(pieces?.some((piece) => piece.buffer === binary.buffer)).toBe(true);
});

test('where no value is large it is left to pg', () => {
  expect(largeBind('name', ['a', null, Buffer.alloc(1000)])).toBeUndefined();
});
