import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { murmur2, partitionOf, topicOfStream, topicOfTable } from '../../src/core/partition.ts';

test("murmur2 by the vectors of Kafka's own test", () => {
  const vectors: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ];
  expect(vectors.map(([text]) => [text, murmur2(Buffer.from(text))])).toEqual(vectors);
});

test('every key has a partition of its own topic, always the same', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.integer({ min: 1, max: 1024 }), (key, partitions) => {
      const partition = partitionOf(key, partitions);
      expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
      expect(partitionOf(Uint8Array.from(key), partitions)).toBe(partition);
    }),
  );
});

test('no two tables share a topic, and every name is one that Kafka takes', () => {
  const part = fc.string({
    unit: fc.constantFrom('a', 'B', '_', 'x', '0', '.', '-', '`', 'é', '😀', ' ', '_x002E_'),
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(part, part, part, part, (database, table, otherDatabase, otherTable) => {
      const topic = topicOfTable('p', { database, table });
      expect(topic).toMatch(/^[A-Za-z0-9._-]+$/);
      if (database === otherDatabase && table === otherTable) return;
      expect(topicOfTable('p', { database: otherDatabase, table: otherTable })).not.toBe(topic);
    }),
    { numRuns: 5000 },
  );
  expect(topicOfTable('p', { database: 'a.b', table: 'c d' })).toBe('p.a_x002E_b.c_x0020_d');
  expect(topicOfTable('p', { database: 'a_x', table: 'plain_name' })).toBe('p.a_x005F_x.plain_name');
  expect(topicOfStream('p', 'orders')).toBe('p.orders');
});
