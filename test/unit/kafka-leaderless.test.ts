import { expect, test } from 'vitest';
import { Leaderless } from '../../connectors/kafka/leaderless.ts';
import type { PartTrouble } from '../../src/core/log-state.ts';

function watched() {
  const lines: string[] = [];
  const told: (PartTrouble | undefined)[] = [];
  const clock = { nowMs: 1_000_000 };
  const logger = { warn: () => lines.push('warn'), info: () => lines.push('info') };
  const leaderless = new Leaderless({ logger, tell: (trouble) => told.push(trouble), now: () => clock.nowMs });
  const look = (leaders: Readonly<Record<string, number>>, afterMs: number) => {
    clock.nowMs += afterMs;
    leaderless.looked(new Map(Object.entries(leaders)));
  };
  return { lines, told, look, leaderless };
}

test('a partition without a leader is told once when it lasts, and once more when it is over', () => {
  const { lines, told, look } = watched();
  look({ 'a#0': -1, 'a#1': 1 }, 0);
  look({ 'a#0': -1 }, 4999);
  expect([lines, told]).toEqual([[], []]);
  look({ 'a#0': -1 }, 1);
  look({ 'a#0': -1 }, 60_000);
  expect(lines).toEqual(['warn']);
  expect(told).toEqual([
    { code: 'LOG_UNREACHABLE', fault: 'retry', message: expect.stringContaining('a#0') as string, sinceMs: 1_000_000 },
  ]);
  look({ 'a#0': 2 }, 1);
  expect(lines).toEqual(['warn', 'info']);
  expect(told.at(-1)).toBeUndefined();
});

test('an election that is over soon is not told, and begins anew with the next', () => {
  const { lines, told, look } = watched();
  for (let time = 0; time < 10; time += 1) {
    look({ 'a#0': -1 }, 1000);
    look({ 'a#0': 1 }, 4000);
  }
  expect([lines, told]).toEqual([[], []]);
});

test('of several the others stay told while one has a leader again; a reader that ends takes all of it back', () => {
  const { told, look, leaderless } = watched();
  look({ 'a#0': -1, 'a#1': -1 }, 0);
  look({ 'a#0': -1, 'a#1': -1 }, 5000);
  expect(told.at(-1)?.message).toContain('a#0 and 1 more');
  look({ 'a#0': 1, 'a#1': -1 }, 1);
  expect(told.at(-1)?.message).toContain('a#1');
  leaderless[Symbol.dispose]();
  expect(told).toHaveLength(3);
  expect(told.at(-1)).toBeUndefined();
});
