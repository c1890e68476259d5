import { stripVTControlCharacters } from 'node:util';

import { describe, expect, test } from 'vitest';

import { svgOf } from '../../demo/picture.ts';
import { duration, fit, frame, milliseconds, plainLine, type View } from '../../demo/screen.ts';

const view: View = {
  elapsedSeconds: 3725,
  phase: 'the shop is open',
  source: { perSecond: 312.4, total: 1_234_567, sparkline: '▁▂▃▄▅▆▇█'.repeat(5) },
  applied: { perSecond: 310, total: 1_234_500, sparkline: '▁▂▃▄▅▆▇█'.repeat(5) },
  lags: [
    { target: 'Postgres', nowMs: 6, p50Ms: 5, p99Ms: 14 },
    { target: 'Redis', nowMs: undefined, p50Ms: undefined, p99Ms: undefined },
  ],
  rows: [
    { table: 'order_items', mysql: 12_345, postgres: 12_340, redis: null },
    { table: 'stock', mysql: 400, postgres: undefined, redis: 400 },
  ],
  processes: [
    { name: 'crossfade', pid: 4_194_303 },
    { name: 'MySQL', pid: undefined },
  ],
  folder: '/tmp/crossfade-demo-AbCdEf',
  events: Array.from({ length: 30 }, (_, index) => `12:00:${index} an event with a long text that does not fit into sixty columns at all`),
};

describe('frame', () => {
  test.each([60, 80, 200])('no line is wider than %i columns', (columns) => {
    for (const line of frame(view, { columns, rows: 40, isColoured: true })) {
      expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(columns);
    }
  });

  test('without colour there is no escape sequence in it', () => {
    expect(frame(view, { columns: 80, rows: 40, isColoured: false }).join('\n')).not.toContain('\x1b');
    expect(frame(view, { columns: 80, rows: 40, isColoured: true }).join('\n')).toContain('\x1b[');
  });

  test('never has more lines than the terminal, so that redrawing in place meets its first line', () => {
    for (const rows of [5, 10, 24, 50]) expect(frame(view, { columns: 80, rows, isColoured: false }).length).toBeLessThan(rows);
  });

  test('with the five processes and four tables of the demo on Kafka, 24 rows hold everything but some empty lines', () => {
    const many = { ...view, rows: Array(4).fill(view.rows[0]), processes: Array(5).fill(view.processes[0]) } as View;
    const [low, high] = [24, 50].map((rows) => frame({ ...many, events: many.events.slice(-1) }, { columns: 80, rows, isColoured: false }));
    expect(low?.length).toBe(23);
    expect(low?.filter((line) => line !== '')).toEqual(high?.filter((line) => line !== ''));
  });

  test('a value that is not known is not shown as zero', () => {
    const text = frame(view, { columns: 80, rows: 40, isColoured: false }).join('\n');
    expect(text).toMatch(/stock +400 +\? +400/);
    expect(text).toMatch(/order_items +12,345 +12,340 +-/);
    expect(text).toMatch(/lag to Redis +no figure yet/);
    expect(text).toContain('MySQL is down');
  });

  test('the command to copy is whole even where it is wider than the rest', () => {
    expect(frame(view, { columns: 60, rows: 40, isColoured: false })).toContain(`   cd ${view.folder} && ./crossfade status`);
  });
});

test('the line for a pipe fits into 60 columns', () => {
  expect(plainLine({ ...view, lags: view.lags.map((lag) => ({ ...lag, nowMs: 12_345 })) }).length).toBeLessThanOrEqual(60);
});

test('numbers for people', () => {
  expect([0.4, 999.4, 1000, 9949, 12_345].map(milliseconds)).toEqual(['0 ms', '999 ms', '1.0 s', '9.9 s', '12 s']);
  expect([0, 59.9, 61, -1].map(duration)).toEqual(['0:00', '0:59', '1:01', '0:00']);
  expect(fit('abcdef', 4)).toBe('abc…');
  expect(fit('abcd', 4)).toBe('abcd');
});

test('the picture escapes its text and keeps columns where they were', () => {
  const svg = svgOf('a \x1b[32m<b>\x1b[39m & c\n', 'x');
  expect(svg).toContain('fill="#7ee787">&lt;b&gt;</text>');
  expect(svg).toContain(`x="${(20 + 2 * 8.4).toFixed(1)}"`);
  expect(svg).toContain(`x="${(20 + 6 * 8.4).toFixed(1)}"`);
});
