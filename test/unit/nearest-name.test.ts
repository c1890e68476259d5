import { expect, test } from 'vitest';
import { nearest } from '../../src/commands/usage.ts';
import { nearestName } from '../../src/nearest-name.ts';

test('a misspelled name is told apart from another word', () => {
  expect(nearestName('servces', ['source', 'services', 'streams'])).toBe('services');
  expect(nearestName('zebra', ['source', 'services', 'streams'])).toBeUndefined();
  expect(nearestName('x', [])).toBeUndefined();
  expect(nearest('chekc', ['check', 'run'])).toBe('; did you mean "check"?');
  expect(nearest('zebra', ['check', 'run'])).toBe('; there are check, run');
});
