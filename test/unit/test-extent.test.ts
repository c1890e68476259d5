import { expect, test } from 'vitest';

import { extentText, longer, numberOfKnob } from '../support/extent.ts';

test('a run as it is by default needs no words; whatever is set from outside is said, in a short run too', () => {
  expect(extentText(false, {})).toBe('');
  expect(extentText(false, { CHAOS_LOGS: 'embedded' })).toBe(' with CHAOS_LOGS=embedded (set from outside: CHAOS_LOGS)');
  expect(extentText(false, { CHAOS_KILLS: '0', PATH: '/bin' })).toBe(' with CHAOS_KILLS=0 (set from outside: CHAOS_KILLS)');
});

test('a long run says all of its sizes, and which of them are not its own', () => {
  const all = extentText(true, {});
  for (const [name, value] of Object.entries(longer)) expect(all).toContain(`${name}=${value}`);
  expect(all).not.toContain('outside');
  const less = extentText(true, { CHAOS_KILLS: '3', CHAOS_LOGS: 'kafka' });
  expect(less).toContain('CHAOS_KILLS=3 ');
  expect(less).toContain('CHAOS_LOGS=kafka (set from outside: CHAOS_KILLS, CHAOS_LOGS)');
});

test('a knob that would leave nothing to do is refused', () => {
  expect(numberOfKnob({}, 'CHAOS_KILLS', 1, 1)).toBe(1);
  expect(numberOfKnob({ CHAOS_KILLS: '20' }, 'CHAOS_KILLS', 1, 1)).toBe(20);
  for (const text of ['0', '-1', '', 'many', '0.5'])
    expect(() => numberOfKnob({ CHAOS_KILLS: text }, 'CHAOS_KILLS', 1, 1), text).toThrow(
      /CHAOS_KILLS is ".*"; it must be a number, 1 or more/,
    );
});
