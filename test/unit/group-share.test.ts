import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { shareOut } from '../../src/core/group-share.ts';

const partitions = ['a#0', 'a#1', 'a#2', 'b#0', 'b#1'];
const members = fc.uniqueArray(fc.record({ id: fc.string({ maxLength: 4 }), partitions: fc.subarray(partitions) }), {
  selector: ({ id }) => id,
  minLength: 1,
  maxLength: 6,
});

test("every partition that somebody knows goes to exactly one member that knows it, the same in every member's eyes", () => {
  fc.assert(
    fc.property(members, fc.infiniteStream(fc.nat()), (list, numbers) => {
      const shares = shareOut(list);
      const given = [...shares.values()].flat();
      expect(given.toSorted()).toEqual([...new Set(list.flatMap((member) => member.partitions))].toSorted());
      for (const { id, partitions: known } of list) for (const partition of shares.get(id) ?? []) expect(known).toContain(partition);
      const shuffled = list
        .map((member) => ({ member, at: numbers.next().value as number }))
        .sort((a, b) => a.at - b.at)
        .map(({ member }) => member);
      expect(new Map(shareOut(shuffled))).toEqual(shares);
    }),
  );
});

test('equal members get equal shares', () => {
  const shares = shareOut(['y', 'x', 'z'].map((id) => ({ id, partitions })));
  expect([...shares.values()].map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([1, 2, 2]);
  expect(shares.get('x')).toEqual(['a#0', 'b#0']);
});
