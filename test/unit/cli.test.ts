import { describe, expect, test } from 'vitest';
import { CrossfadeError, errorCodes } from '../../src/core/errors.ts';
import { exitCodeOf, failureText, runbookLink } from '../../src/commands/failure.ts';
import { commandHelp, overview } from '../../src/commands/help.ts';
import { makeOutput, type Output, table, wrap } from '../../src/commands/output.ts';
import { secondsText, statusText } from '../../src/commands/run-line.ts';
import { statusReport } from '../../src/commands/status-report.ts';
import { ratesOf } from '../../src/commands/status.ts';
import { reasonsOf } from '../../src/commands/status-health.ts';
import type { Sample, ServiceSample } from '../../src/commands/status-sample.ts';
import { commands, parseCommandLine } from '../../src/commands/table.ts';
import { makeMeters } from '../../src/runtime/observe.ts';

/** A stream that keeps what is written, as wide and as much of a terminal as asked. */
function screen(options: { isTTY?: boolean; columns?: number; environment?: Record<string, string> } = {}): {
  output: Output;
  text: () => string;
} {
  const written: string[] = [];
  const stream = { isTTY: options.isTTY ?? false, columns: options.columns, write: (text: string) => written.push(text) };
  const streams = { stdout: stream, stderr: stream, stdin: { isTTY: false } } as unknown as Parameters<typeof makeOutput>[0];
  return { output: makeOutput(streams, options.environment ?? {}), text: () => written.join('') };
}
const plain = (columns = 80) => screen({ columns }).output;

function refusal(argv: string[]): CrossfadeError {
  try {
    parseCommandLine(argv);
  } catch (error) {
    if (error instanceof CrossfadeError) return error;
  }
  throw new Error('it was not refused');
}

describe('the command line', () => {
  test('flags, short flags, values and words', () => {
    const { command, flags, words } = parseCommandLine(['run', 'apply', '--service', 'orders', '-c', 'a.yaml']);
    expect(command.name).toBe('run');
    expect(words).toEqual(['apply']);
    expect([flags.text('service'), flags.text('config'), flags.text('log-level')]).toEqual(['orders', 'a.yaml', 'info']);
    expect(parseCommandLine(['check', '--json', '--config=b.yaml']).flags.on('json')).toBe(true);
  });

  test('-h, --help, --version stand for their commands, and --help goes with every command', () => {
    expect(parseCommandLine(['--help']).command.name).toBe('help');
    expect(parseCommandLine(['-v']).command.name).toBe('version');
    for (const { name } of commands) expect(parseCommandLine([name, '--help']).flags.on('help')).toBe(true);
  });

  test.each([
    [['chek'], 'did you mean "check"?'],
    [['frobnicate'], 'there are init, check, run'],
    [['check', '--jsno'], 'check has no flag --jsno; did you mean "--json"?'],
    [['check', '--constructor'], 'check has no flag --constructor'],
    [['check', 'now'], 'check does not know what to do with the word number 1'],
    [['init'], 'init needs more: crossfade init MYSQL_URL'],
    [['run', '--log-level', 'loud'], '--log-level must be one of debug, info'],
    [['run', '--config'], '--config needs a value: --config FILE'],
    [['check', '--json=yes'], '--json takes no value'],
  ])('%j is refused with the nearest name', (argv, said) => {
    const error = refusal(argv);
    expect(error.message).toContain(said);
    expect(error.code).toBe('USAGE');
    expect(exitCodeOf(error)).toBe(2);
  });
});

describe('help', () => {
  test.each([40, 60, 80, 200])('fits %i columns, flags and examples aside', (columns) => {
    const texts = [overview(commands, plain(columns)), ...commands.map((command) => commandHelp(command, plain(columns)))];
    const lines = texts.flatMap((text) => text.split('\n'));
    const prose = lines.filter((line) => columns >= 80 || !/^ {2}crossfade |--|^ {4}/.test(line));
    expect(prose.filter((line) => line.length > Math.min(80, columns))).toEqual([]);
  });

  test('names every command and every flag, with one example each', () => {
    for (const { name } of commands) expect(overview(commands, plain())).toContain(`  ${name}`);
    for (const command of commands) {
      const text = commandHelp(command, plain());
      expect(text).toContain('Example\n  crossfade ');
      for (const flag of Object.keys(command.options)) expect(text).toContain(`--${flag}`);
    }
  });
});

describe('output', () => {
  test('colours only on a terminal, and never with NO_COLOR', () => {
    expect(screen({ isTTY: true }).output.paint('red', 'x')).toContain('\u001b[');
    expect(screen({ isTTY: true, environment: { NO_COLOR: '1' } }).output.paint('red', 'x')).toBe('x');
    expect(screen({ isTTY: true, environment: { TERM: 'dumb' } }).output.paint('red', 'x')).toBe('x');
    expect(screen().output.paint('red', 'x')).toBe('x');
  });

  test('the status line makes room for what is printed, and is cut to the terminal', () => {
    const { output, text } = screen({ isTTY: true, columns: 10 });
    output.statusLine('0123456789abc');
    output.out('log line\n');
    output.statusLine('');
    expect(text()).toBe('\r\u001b[K012345678\r\u001b[Klog line\n012345678\r\u001b[K');
    const pipe = screen();
    pipe.output.statusLine('busy');
    expect(pipe.text()).toBe('');
  });

  test('wrap keeps words whole and the indentation of each line', () => {
    expect(wrap('aaa bbb ccc', 7)).toBe('aaa bbb\nccc');
    expect(wrap('one:\n  aaa bbb ccc', 9)).toBe('one:\n  aaa bbb\n    ccc');
    expect(wrap('unbreakable', 4)).toBe('unbreakable');
  });

  test('tables align numbers to the right and end at the edge', () => {
    expect(
      table(
        [
          ['name', 'rows'],
          ['a', 1234],
          ['bb', 5],
        ],
        80,
      ),
    ).toBe('name   rows\na     1,234\nbb        5');
    expect(table([['name'], ['a long one']], 5)).toBe('name\na lo…');
  });

  test('an error shows what, remedy, code and the place in the runbook', () => {
    const error = new CrossfadeError({ code: 'SOURCE_AUTH', fault: 'fatal', message: 'reading db:3306: refused', remedy: 'Correct it.' });
    expect(failureText(error, plain())).toBe(
      'error reading db:3306: refused\n  Correct it.\n  SOURCE_AUTH, see docs/runbook.md#source_auth\n',
    );
    expect(exitCodeOf(error)).toBe(4);
    expect(errorCodes.map(runbookLink)).toContain('docs/runbook.md#internal');
  });
});

test('the line under a running pipeline: rates of the last second, lag, and what is wrong', () => {
  const observed = makeMeters();
  const before = structuredClone(observed.totals);
  observed.state.state('capture', 'running');
  observed.state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE');
  observed.capture.captured(1204, 1);
  observed.capture.completed(8_600_000);
  observed.apply('orders').applied('p#0', 1180, 0.1);
  const lags = (seconds: number | undefined) => [{ service: 'orders', seconds, changes: 3, partitions: [] }];
  expect(statusText(before, observed.totals, lags(0.25), 9000)).toBe(
    'capture 1,204/s, behind 0.4 s · orders 1,180/s, lag 0.3 s (waiting TARGET_UNREACHABLE)',
  );
  // A minute in which nothing is delivered is a minute more, not the same line.
  expect(statusText(observed.totals, observed.totals, lags(60.25), 69_000)).toBe(
    'capture 0/s, behind 60 s · orders 0/s, lag 60 s (waiting TARGET_UNREACHABLE)',
  );
  observed.state.state('apply orders', 'waiting');
  expect(statusText(observed.totals, observed.totals, lags(60.25), 69_000)).toContain('(waiting TARGET_UNREACHABLE)');
  expect(statusText(observed.totals, observed.totals, lags(undefined), 69_000)).toContain('orders 0/s (waiting');
  observed.state.state('apply orders', 'running');
  expect(statusText(observed.totals, observed.totals, lags(0.4), 9000)).toBe('capture 0/s, behind 0.4 s · orders 0/s, lag 0.4 s');
  expect([0, 9.94, 14.2, 180, 9000].map(secondsText)).toEqual(['0.0 s', '9.9 s', '14 s', '3 min', '2.5 h']);
});

const sample = (atMs: number, records: number, applied: number): Sample => ({
  pipeline: 'shop',
  atMs,
  healthy: false,
  reasons: ['service cache: TARGET_UNREACHABLE'],
  source: { server: 'db:3306', end: 'uuid:1-20' },
  log: {
    path: '/var/lib/shop.crossfade.db',
    leader: { who: 'pid 7', silentSeconds: 0.5 },
    start: 'uuid:1-5',
    complete: { position: 'uuid:1-19', ageSeconds: 0.4 },
    records,
  },
  services: [
    {
      name: 'orders',
      kind: 'postgres',
      lagSeconds: 1.2,
      lagChanges: 5,
      applied,
      partitions: [
        {
          partition: 'shop.shop.orders#0',
          tables: ['shop.orders'],
          nextOffset: applied,
          endOffset: records,
          lagSeconds: 1.2,
          lagChanges: 5,
        },
      ],
    },
    {
      name: 'cache',
      kind: 'redis',
      error: { code: 'TARGET_UNREACHABLE', message: 'Redis cannot be reached' },
      applied: 0,
      partitions: [],
    },
  ],
});

describe('status', () => {
  test('rates come from two samples; an unreachable part has none', () => {
    const rates = ratesOf(sample(1000, 100, 50), sample(3000, 1100, 450));
    expect(rates).toEqual({
      capturedPerSecond: 500,
      appliedPerSecond: { orders: 200, cache: 0 },
      partitionsPerSecond: { orders: { 'shop.shop.orders#0': 200 }, cache: {} },
    });
  });

  test.each([60, 80])('fits %i columns and says everything', (columns) => {
    const text = statusReport(
      sample(3000, 1100, 450),
      { capturedPerSecond: 500, appliedPerSecond: { orders: 200 }, partitionsPerSecond: {} },
      plain(columns),
    );
    for (const said of [
      'pipeline shop',
      'at uuid:1-20',
      'captured by pid 7, 500 records/s',
      'complete 0.4 s ago',
      'lag 1.2 s, 5 changes, 200 records/s',
      'Redis cannot be reached',
      'TARGET_UNREACHABLE',
    ]) {
      expect(text).toContain(said);
    }
    expect(text.split('\n').filter((line) => line.length > columns)).toEqual([]);
  });

  const minutesAgo = (minutes: number) => 1_000_000 - minutes * 60_000;
  const broken = (more: Partial<ServiceSample>): Sample => {
    const { services, ...rest } = sample(1_000_000, 2, 2);
    const found = { ...rest, services: [{ ...(services[0] as ServiceSample), ...more }] };
    const reasons = reasonsOf(found);
    return { ...found, healthy: reasons.length === 0, reasons };
  };
  const refused = { code: 'TARGET_VALUE_REFUSED', message: 'column note of public.orders is too short', sinceMs: minutesAgo(4) };
  const rates = { capturedPerSecond: 0, appliedPerSecond: {}, partitionsPerSecond: {} };

  test.each<[string, Partial<ServiceSample>, string[], string[]]>([
    ['all well', { members: [{ who: 'pid 9 on db1', silentSeconds: 1 }] }, ['applied by pid 9 on db1', 'healthy'], []],
    ['dead', { members: [] }, ['nobody applies', 'not healthy'], ['service orders: nobody applies']],
    [
      'halted',
      { members: [], trouble: refused },
      ['nobody applies', 'last: TARGET_VALUE_REFUSED 4 min ago: column note of public.orders'],
      ['service orders: nobody applies', 'service orders: TARGET_VALUE_REFUSED'],
    ],
    [
      'waiting for its target',
      { members: [], trouble: { ...refused, code: 'TARGET_UNREACHABLE' } },
      ['last: TARGET_UNREACHABLE 4 min ago'],
      ['service orders: nobody applies now: it waits to try again, or has ended', 'service orders: TARGET_UNREACHABLE'],
    ],
    [
      'over its objective',
      { members: [{ who: 'pid 9', silentSeconds: 1 }], lagSeconds: 90, objectiveSeconds: 30 },
      ['not healthy'],
      ['service orders: lag 90 s is over its objective of 30 s'],
    ],
    [
      'frozen',
      { members: [{ who: 'pid 9 on db1', silentSeconds: 30 }] },
      ['pid 9 on db1 shows no sign of life for 30 s'],
      ['service orders: pid 9 on db1 shows no sign of life'],
    ],
  ])('an apply that is %s is told as such, also on 60 columns', (_, more, said, reasons) => {
    const found = broken(more);
    expect([found.healthy, found.reasons]).toEqual([reasons.length === 0, reasons]);
    for (const columns of [60, 100]) {
      const lines = statusReport(found, rates, plain(columns)).split('\n');
      for (const words of said) expect(lines.join(' ').replace(/ +/g, ' ')).toContain(words);
      expect(lines.filter((line) => line.length > columns)).toEqual([]);
    }
  });

  test('a full disk is named before the silence that comes of it, and is a reason', () => {
    const { log, ...rest } = broken({ members: [{ who: 'pid 9', silentSeconds: 1 }] });
    const room = { level: 'error', code: 'LOG_FULL', where: 'log', message: 'the disk of /var/lib is full' } as const;
    const found = { ...rest, log: { ...log, room, leader: { who: 'pid 7', silentSeconds: 40 } } };
    expect(reasonsOf(found)).toEqual(['log: LOG_FULL', 'capture: pid 7 shows no sign of life']);
    const text = statusReport(found, rates, plain());
    expect(text.indexOf('LOG_FULL')).toBeLessThan(text.indexOf('no sign of life'));
  });
});
