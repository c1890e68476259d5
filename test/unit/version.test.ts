import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Half,
  type ParsedVersion,
  parseVersion,
  versionOf,
  versionPrefix,
  versionWidth,
  versionZero,
} from '../../src/core/version.ts';

const parsed: fc.Arbitrary<ParsedVersion> = fc.record({
  epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  file: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  offset: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  ordinal: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  half: fc.constantFrom<Half>(0, 1, 2),
});
const numbers = (v: ParsedVersion) => [v.epoch, v.file, v.offset, v.ordinal, v.half];
const write = (version: ParsedVersion) => versionOf(versionPrefix(version), version.ordinal, version.half);

test('a version has its fixed width and is read back as it was', () => {
  fc.assert(
    fc.property(parsed, (version) => {
      expect(write(version).length).toBe(versionWidth);
      expect(parseVersion(write(version))).toEqual(version);
      expect(write(version) >= versionZero).toBe(true);
    }),
  );
});

test('G2: plain text order is the order of epoch, file, offset, row and half', () => {
  fc.assert(
    fc.property(parsed, parsed, fc.nat(4), (one, other, same) => {
      // Neighbours are the interesting ones: let them agree in the first parts.
      const keys = ['epoch', 'file', 'offset', 'ordinal'] as const;
      const near = { ...other, ...Object.fromEntries(keys.slice(0, same).map((key) => [key, one[key]])) };
      const [a, b] = [numbers(one), numbers(near)];
      const first = a.findIndex((value, index) => value !== b[index]);
      const expected = first < 0 ? 0 : Math.sign((a[first] as number) - (b[first] as number));
      const [left, right] = [write(one), write(near)];
      expect(left < right ? -1 : left > right ? 1 : 0).toBe(expected);
    }),
  );
});

test('what is no version is not read as one', () => {
  for (const text of [
    '',
    versionZero.slice(1),
    `${versionZero} `,
    versionZero.toUpperCase().replace('0', 'G'),
    versionZero.replace(/.$/, '3'),
  ])
    expect(parseVersion(text)).toBeUndefined();
});
