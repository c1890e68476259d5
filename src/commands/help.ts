/** `crossfade help`: what a person reads first. Fits 80 columns, and narrower terminals. */
import type { Command, ExitCode, Invocation, Option } from './command.ts';
import { type Output, wrap } from './output.ts';
import { nearest, usage } from './usage.ts';

/** The list is handed in: it names this file itself, and two files that import each other cannot be read one by one. */
export function helpOn(commands: readonly Command[]): (invocation: Invocation) => Promise<ExitCode> {
  return async ({ words, output }) => {
    const [name] = words;
    const command = commands.find((each) => each.name === name);
    if (name !== undefined && !command) {
      const names = commands.map((each) => each.name);
      throw usage(`there is no command "${name}"${nearest(name, names)}`, 'crossfade help');
    }
    output.out(command ? commandHelp(command, output) : overview(commands, output));
    return 0;
  };
}

const widthOf = (output: Output) => Math.min(80, Math.max(40, output.columns));

export function overview(commands: readonly Command[], output: Output): string {
  const width = widthOf(output);
  const lines = commands.flatMap(({ name, summary }) => entry(name, summary, 10, width));
  return [
    wrap('Crossfade streams the changes of a MySQL database into Postgres and Redis, in order and exactly once in effect.', width),
    '',
    `${output.paint('bold', 'Usage')}  crossfade COMMAND [flags]`,
    '',
    output.paint('bold', 'Commands'),
    ...lines,
    '',
    output.paint('bold', 'First steps'),
    "  crossfade init 'mysql://root@localhost:3306/shop'",
    '  crossfade check',
    '  crossfade run',
    '',
    wrap(
      'Exit codes: 0 well, 1 a check failed or the status is not healthy, 2 wrong usage or configuration, 4 failure while running, 130 forced to stop.',
      width,
    ),
    '',
  ].join('\n');
}

export function commandHelp(command: Command, output: Output): string {
  const width = widthOf(output);
  const flags = Object.entries(command.options);
  return [
    wrap(command.summary, width),
    '',
    output.paint('bold', 'Usage'),
    ...command.usage.map((line) => `  ${line}`),
    '',
    ...command.about.flatMap((text) => [wrap(text, width), '']),
    output.paint('bold', 'Flags'),
    ...flags.flatMap(([name, option]) => entry(flagText(name, option), flagHelp(option), 20, width)),
    '',
    output.paint('bold', 'Example'),
    `  ${command.example.line}`,
    ...(command.example.says === '' ? [] : [wrap(command.example.says, width, '    ')]),
    '',
  ].join('\n');
}

const flagText = (name: string, { short, value }: Option) =>
  `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
const flagHelp = ({ help, default: value }: Option) => (value === undefined ? help : `${help} Without it: ${value}.`);

/** `  name      text that goes on in its own column`, the name alone where it is too long for that. */
function entry(name: string, text: string, column: number, width: number): string[] {
  const indent = ' '.repeat(column + 2);
  const wrapped = wrap(text, width, indent).split('\n');
  if (name.length >= column) return [`  ${name}`, ...wrapped];
  return [`  ${name.padEnd(column)}${(wrapped[0] ?? '').trimStart()}`, ...wrapped.slice(1)];
}
