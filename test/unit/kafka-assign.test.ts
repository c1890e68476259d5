import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assignSticky } from '../../connectors/kafka/assign-sticky.ts';
import {
  type Candidate,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../connectors/kafka/assignment.ts';

const all = (count: number) => Array.from({ length: count }, (_, n) => `t#${n}`);
const member = (id: string, partitions: readonly string[], owned: readonly string[] = [], generation = 1): Candidate => ({
  id,
  partitions,
  owned,
  generation,
});
const sizes = (shares: ReadonlyMap<string, readonly string[]>) => [...shares.values()].map((share) => share.length).sort((a, b) => a - b);

test('every partition has one reader that knows it, and among members of one configuration nobody has two more than another', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 }),
      fc.array(fc.record({ owned: fc.array(fc.nat(60), { maxLength: 30 }), generation: fc.nat(3) }), { minLength: 1, maxLength: 6 }),
      (count, states) => {
        const members = states.map(({ owned, generation }, n) =>
          member(
            `m${n}`,
            all(count),
            owned.map((number) => `t#${number}`),
            generation,
          ),
        );
        const shares = assignSticky(members);
        expect([...shares.values()].flat().sort()).toEqual(all(count).sort());
        const loads = sizes(shares);
        expect((loads.at(-1) ?? 0) - (loads[0] ?? 0)).toBeLessThanOrEqual(1);
      },
    ),
  );
});

test('nobody is handed a partition that his configuration does not know', () => {
  fc.assert(
    fc.property(fc.array(fc.uniqueArray(fc.nat(20), { maxLength: 15 }), { minLength: 1, maxLength: 5 }), (known) => {
      const members = known.map((numbers, n) =>
        member(
          `m${n}`,
          numbers.map((number) => `t#${number}`),
        ),
      );
      const shares = assignSticky(members);
      for (const { id, partitions } of members) for (const partition of shares.get(id) ?? []) expect(partitions).toContain(partition);
      expect(new Set([...shares.values()].flat())).toEqual(new Set(members.flatMap(({ partitions }) => partitions)));
    }),
  );
});

test('whoever comes is given no more than must move, and whoever goes moves only what he had', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 6 }), (count, before) => {
      const start = assignSticky(Array.from({ length: before }, (_, n) => member(`m${n}`, all(count))));
      const settled = [...start].map(([id, owned]) => member(id, all(count), owned));
      const joined = assignSticky([...settled, member('new', all(count))]);
      const moved = settled.reduce(
        (sum, { id, owned }) => sum + owned.filter((partition) => !joined.get(id)?.includes(partition)).length,
        0,
      );
      expect(moved).toBe(joined.get('new')?.length);
      expect(moved).toBe(Math.floor(count / (before + 1)));
      const left = assignSticky(settled.slice(1));
      for (const { id, owned } of settled.slice(1)) expect(left.get(id)).toEqual(expect.arrayContaining([...owned]));
    }),
  );
});

test('of two that say they have a partition the one of the newer generation keeps it', () => {
  const shares = assignSticky([member('old', all(1), all(1), 4), member('young', all(1), all(1), 5)]);
  expect(shares.get('young')).toEqual(['t#0']);
});

test('what a member says and gets comes through Kafka’s own encoding', () => {
  const candidate = member('m', ['a.b#0', 'a.b#1', 'c#0'], ['c#0', 'a.b#1'], 7);
  expect(decodeSubscription('m', encodeSubscription(candidate))).toEqual({ ...candidate, owned: ['c#0', 'a.b#1'] });
  expect(decodeAssignment(encodeAssignment(['c#0', 'a.b#1', 'c#2'])).sort()).toEqual(['a.b#1', 'c#0', 'c#2']);
  expect(decodeAssignment(Buffer.alloc(0))).toEqual([]);
});
