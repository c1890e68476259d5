import { describe, expect, test } from 'vitest';
import { CrossfadeError, errorCodes } from '../../src/core/errors.ts';
import { exitCodeOf, failureText, runbookLink } from '../../src/commands/failure.ts';
import { commandHelp, overview } from '../../src/commands/help.ts';
import { makeOutput, type Output, table, wrap } from '../../src/commands/output.ts';
import { secondsText, statusText } from '../../src/commands/run-line.ts';
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
    expect(text()).toBe('\r\u001b[K01234567…\r\u001b[Klog line\n01234567…\r\u001b[K');
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
    'capture 1,204/s, behind 0.4 s · orders waiting TARGET_UNREACHABLE, 1,180/s, lag 0.3 s',
  );
  // A minute in which nothing is delivered is a minute more, not the same line.
  expect(statusText(observed.totals, observed.totals, lags(60.25), 69_000)).toBe(
    'capture 0/s, behind 60 s · orders waiting TARGET_UNREACHABLE, 0/s, lag 60 s',
  );
  observed.state.state('apply orders', 'waiting');
  expect(statusText(observed.totals, observed.totals, lags(60.25), 69_000)).toContain('orders waiting TARGET_UNREACHABLE, 0/s');
  expect(statusText(observed.totals, observed.totals, lags(undefined), 69_000)).toContain('orders waiting TARGET_UNREACHABLE, 0/s');
  observed.state.state('apply orders', 'running');
  expect(statusText(observed.totals, observed.totals, lags(0.4), 9000)).toBe('capture 0/s, behind 0.4 s · orders 0/s, lag 0.4 s');
  expect([0, 9.94, 14.2, 180, 9000].map(secondsText)).toEqual(['0.0 s', '9.9 s', '14 s', '3 min', '2.5 h']);
});
