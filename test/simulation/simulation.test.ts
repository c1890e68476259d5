/**
 * Thousands of histories of the whole pipeline on the memory connectors. `SIMULATION_HISTORIES` says how many,
 * `SIMULATION_FROM` the first seed; `SEED=n` runs one history and prints what happened in it.
 */
import { expect, test } from 'vitest';
import { type HistoryResult, runHistory } from './history.ts';

const histories = Number(process.env['SIMULATION_HISTORIES'] ?? 1000);
const from = Number(process.env['SIMULATION_FROM'] ?? 1);
const seed = process.env['SEED'];
const chunk = 100;
const startedMs = performance.now();
let total = 0;

const say = (text: string) => process.stdout.write(`${text}\n`);

function verdict({ seed, violations, trace }: HistoryResult): string {
  if (violations.length === 0) return 'every promise was kept';
  const again = `SEED=${seed} node node_modules/vitest/vitest.mjs run --project simulation simulation.test.ts`;
  return `history ${seed} broke a promise; again: ${again}\n${violations.slice(0, 5).join('\n')}\n--- last events\n${trace.slice(-40).join('\n')}`;
}

const firsts = seed === undefined ? Array.from({ length: Math.ceil(histories / chunk) }, (_, index) => from + index * chunk) : [];

test.each(firsts)('G1 G2 G3 G5 G10: histories from seed %i: nothing is lost, doubled, reordered or half seen', async (first) => {
  const sum = { records: 0, barriers: 0, commits: 0, faults: 0, kills: 0, zombies: 0, mended: 0 };
  const last = Math.min(first + chunk, from + histories);
  for (let current = first; current < last; current += 1) {
    const result = await runHistory(current);
    expect(verdict(result)).toBe('every promise was kept');
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result[name];
  }
  total += last - first;
  const perSecond = Math.round((total / (performance.now() - startedMs)) * 1000);
  const { records, barriers, commits, faults, kills, zombies, mended } = sum;
  say(
    `simulation: ${total}/${histories} histories, ${perSecond}/s; here ${records} records, ${barriers} barriers, ${commits} commits, ${faults} faults, ${kills} kills, ${zombies} zombies, ${mended} changes out of quarantine`,
  );
  // A simulation in which nothing goes wrong proves nothing.
  expect(last - first < chunk || Math.min(barriers, faults, kills, zombies, mended) > 0).toBe(true);
});

test('a history is the same every time', async () => {
  for (const one of [3, 58, 140]) expect(await runHistory(one)).toEqual(await runHistory(one));
});

test.each(seed === undefined ? [] : [seed])('the history of SEED %s', async () => {
  const result = await runHistory(Number(seed));
  say(result.trace.join('\n'));
  expect(verdict(result)).toBe('every promise was kept');
});
