/** Every command of the tool, and the way from words on a command line to one of them. */
import { parseArgs } from 'node:util';
import { logLevels } from '../runtime/observe.ts';
import type { Command, Flags, Option } from './command.ts';
import { nearest, usage } from './usage.ts';

const config: Option = { type: 'string', short: 'c', value: 'FILE', default: 'crossfade.yaml', help: 'The configuration file.' };
const json: Option = { type: 'boolean', help: 'Print the result as JSON, for scripts.' };
const help: Option = { type: 'boolean', short: 'h', help: 'Show this help.' };
const logLevel: Option = {
  type: 'string',
  value: 'LEVEL',
  default: 'info',
  choices: logLevels,
  help: `How much to log: ${logLevels.join(', ')}.`,
};

export const commands: readonly Command[] = [
  {
    name: 'init',
    summary: 'Write a starter configuration from what is found on the servers.',
    usage: ['crossfade init MYSQL_URL [TARGET_URL] [--output FILE] [--force]'],
    about: [
      'Looks at the tables of the source and writes a configuration that streams all of them that can be streamed. With a Postgres URL the service gets the tables, and the CREATE TABLE statements that are missing there are printed; with a Redis URL each row becomes a hash under a key made of its primary key.',
      'A password in a URL is never written to the file: the file names an environment variable in its place, and the command says which.',
    ],
    example: { line: "crossfade init 'mysql://root@localhost:3306/shop' postgres://me@localhost/shop", says: 'Writes crossfade.yaml.' },
    options: {
      output: { type: 'string', short: 'o', value: 'FILE', default: 'crossfade.yaml', help: 'Where to write the configuration.' },
      force: { type: 'boolean', help: 'Overwrite the file if it is there.' },
      json,
      help,
    },
    words: { min: 1, max: 2 },
    load: async () => (await import('./init.ts')).init,
  },
  {
    name: 'check',
    summary: 'Say everything that is wrong, each with the statement that mends it.',
    usage: ['crossfade check [--json]', 'crossfade check --statements [--only source|SERVICE]'],
    about: [
      'Reads the configuration, connects to every server and tests whatever would stop the pipeline or lose data: privileges, settings, tables, keys, columns. Changes nothing. Ends with 0 when `crossfade run` can start, with 1 when an error was found, with 2 when the configuration itself is wrong.',
    ],
    example: { line: 'crossfade check --statements --only orders | psql "$ORDERS_URL"', says: 'Creates what is missing in one target.' },
    options: {
      config,
      json,
      statements: { type: 'boolean', help: 'Print only the statements, ready to be run; into a pipe those of one server, see --only.' },
      only: { type: 'string', value: 'NAME', help: 'Only this part: source, log or the name of a service.' },
      help,
    },
    words: { min: 0, max: 0 },
    load: async () => (await import('./check.ts')).check,
  },
  {
    name: 'run',
    summary: 'Stream changes until stopped.',
    usage: ['crossfade run', 'crossfade run capture', 'crossfade run apply --service NAME'],
    about: [
      'Reads changes from the source into the log and applies them to every service. `run capture` does only the first, `run apply` only the second for one service: for parts that live in processes of their own.',
      'Ctrl-C (SIGINT) or SIGTERM finishes what is in hand and stops; a second one stops at once (exit code 130), and nothing is lost either way. Servers that go away are waited for. It does not start with tables that `check` refuses. What needs a person ends with exit code 4 (2: the configuration) and says what to do; after 5, an error that nobody foresaw, a new start may help.',
    ],
    example: { line: 'crossfade run --config shop.yaml', says: 'Runs the whole pipeline in this process.' },
    options: {
      config,
      'log-level': logLevel,
      service: { type: 'string', value: 'NAME', help: 'The service that `run apply` serves.' },
      http: { type: 'string', value: 'HOST:PORT', help: 'Where /metrics, /livez, /readyz and /status of this process are, or `off`.' },
      help,
    },
    words: { min: 0, max: 1 },
    load: async () => (await import('./run.ts')).run,
  },
  {
    name: 'status',
    summary: 'Show positions, lag and throughput.',
    usage: ['crossfade status [--watch] [--json]'],
    about: [
      'Reads the log and every target without touching what runs: where the source is, how far the log is complete, how far each service has applied each partition, who captures and applies, and what they last ran into. A server that does not answer within 5 s is shown as such. With --json and --watch, one line of JSON each two seconds.',
      'Ends with 0 when the pipeline is healthy and with 1 when it is not (`healthy` and `reasons` in the JSON): a part that nobody runs, that shows no sign of life or has not got over its last error, a server that does not answer, a full disk of the log, progress of another log. Lag alone is no reason: compare `lagSeconds` with what you can bear. With --watch, Ctrl-C ends with 0.',
    ],
    example: { line: 'crossfade status --watch', says: 'Refreshes every two seconds until Ctrl-C.' },
    options: { config, watch: { type: 'boolean', short: 'w', help: 'Show it again every two seconds.' }, json, help },
    words: { min: 0, max: 0 },
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'rebuild',
    summary: 'Make a service replay the log from its start.',
    usage: ['crossfade rebuild --service NAME [--tables-loaded] [--yes] [--json]'],
    about: [
      'Forgets how far the service has applied, in its target and in the log; a running or later `crossfade run` then applies everything again. Rows are overwritten, not doubled; rows in the target that the log does not know stay as they are. Refuses when the log no longer holds its beginning.',
      'The log holds only what happened since the pipeline began: rows from before must be in the target already. Where the target was emptied, or was filled through another log, the command refuses until --tables-loaded says that you have seen to it.',
    ],
    example: { line: 'crossfade rebuild --service storefront --tables-loaded', says: 'After a Redis was flushed and loaded again.' },
    options: {
      config,
      service: { type: 'string', value: 'NAME', help: 'The service to rebuild.' },
      'tables-loaded': { type: 'boolean', help: "The target's tables hold every row as it was at the log's start, or later." },
      yes: { type: 'boolean', short: 'y', help: 'Do not ask.' },
      json,
      help,
    },
    words: { min: 0, max: 0 },
    load: async () => (await import('./rebuild.ts')).rebuild,
  },
  {
    name: 'quarantine',
    summary: 'Look at changes that a target refuses; retry or discard them.',
    usage: [
      'crossfade quarantine list [--service NAME] [--table TABLE] [--all] [--json]',
      'crossfade quarantine show ID [--service NAME] [--values] [--json]',
      'crossfade quarantine retry ID [--service NAME] [--json]',
      'crossfade quarantine retry --table TABLE | --all [--service NAME] [--json]',
      'crossfade quarantine discard ID [--service NAME] [--yes] [--json]',
    ],
    about: [
      'A change is `held` while a unique or foreign key of the target refuses it and another partition may still bring what it misses; it is tried again by itself. With `onPoison: quarantine` a change that can never be applied as it is stands in quarantine (`quarantined`), and later changes of its key wait `behind` it in order; everything else goes on.',
      '`retry` brings the row to what the last change of its queue says: all of the queue is applied, or nothing. `discard` forgets one change for ever, after it has said what is lost, and tries what waited behind it. Both may be used while the service runs. Keys are shown as digests, and values only with --values. Ends with 1 where something is still refused.',
    ],
    example: { line: 'crossfade quarantine retry --table shop.orders', says: 'After a column of the target was widened.' },
    options: {
      config,
      service: { type: 'string', value: 'NAME', help: 'The service; needed where more than one has a quarantine.' },
      table: { type: 'string', value: 'TABLE', help: 'Only this table of the source, as database.table.' },
      all: { type: 'boolean', help: 'list: also what waits behind another change. retry: every queue of the service.' },
      values: { type: 'boolean', help: 'show: also the values of the row.' },
      yes: { type: 'boolean', short: 'y', help: 'discard: do not ask.' },
      json,
      help,
    },
    words: { min: 1, max: 2 },
    load: async () => (await import('./quarantine.ts')).quarantine,
  },
  {
    name: 'config',
    summary: 'Print the JSON Schema or the reference of the configuration.',
    usage: ['crossfade config schema', 'crossfade config reference'],
    about: ['`schema` prints a JSON Schema for editors, `reference` every setting with its meaning and default, as Markdown.'],
    example: { line: 'crossfade config schema > crossfade.schema.json', says: 'Lets an editor complete and check the file.' },
    options: { help },
    words: { min: 1, max: 1 },
    load: async () => (await import('./config.ts')).config,
  },
  {
    name: 'help',
    summary: 'Explain a command.',
    usage: ['crossfade help [COMMAND]'],
    about: ['Without a command, lists all of them.'],
    example: { line: 'crossfade help run', says: 'The same as crossfade run --help.' },
    options: { help },
    words: { min: 0, max: 1 },
    load: async () => (await import('./help.ts')).helpOn(commands),
  },
  {
    name: 'version',
    summary: 'Print the version.',
    usage: ['crossfade version [--json]'],
    about: ['The version of Crossfade and of the Node that it runs on.'],
    example: { line: 'crossfade version', says: '' },
    options: { json, help },
    words: { min: 0, max: 0 },
    load: async () => (await import('./version.ts')).version,
  },
];

export interface Parsed {
  readonly command: Command;
  readonly flags: Flags;
  readonly words: readonly string[];
}

/** Throws USAGE with the nearest name where a word or a flag is not known. An empty command line is `help`. */
export function parseCommandLine(argv: readonly string[]): Parsed {
  const [first = 'help', ...rest] = argv;
  const name = { '--help': 'help', '-h': 'help', '--version': 'version', '-v': 'version' }[first] ?? first;
  const command = commands.find((each) => each.name === name);
  if (!command)
    throw usage(
      `there is no command "${first}"${nearest(
        first,
        commands.map((each) => each.name),
      )}`,
      'crossfade help',
    );
  const { values, words } = parseFlags(command, rest);
  if (!('help' in values)) checkWords(command, words);
  const flags = {
    text: (flag: string) => (typeof values[flag] === 'string' ? values[flag] : command.options[flag]?.default),
    on: (flag: string) => values[flag] === true,
  };
  return { command, flags, words };
}

function parseFlags(command: Command, args: readonly string[]): { values: Record<string, string | true>; words: string[] } {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, short }]) => [name, short === undefined ? { type } : { type, short }]),
  );
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, string | true> = {};
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(command.options, token.name) ? command.options[token.name] : undefined;
    if (!option)
      throw usage(`${command.name} has no flag ${token.rawName}${nearestFlag(command, token.rawName)}`, `crossfade ${command.name} --help`);
    values[token.name] = valueOf(command, token.rawName, option, token.value);
  }
  return { values, words };
}

function valueOf(command: Command, flag: string, option: Option, value: string | undefined): string | true {
  const see = `crossfade ${command.name} --help`;
  if (option.type === 'boolean') {
    if (value !== undefined) throw usage(`${flag} takes no value`, see);
    return true;
  }
  if (value === undefined || value === '') throw usage(`${flag} needs a value: ${flag} ${option.value}`, see);
  if (option.choices && !option.choices.includes(value)) throw usage(`${flag} must be one of ${option.choices.join(', ')}`, see);
  return value;
}

function checkWords(command: Command, words: readonly string[]): void {
  const { min, max } = command.words;
  const see = `crossfade ${command.name} --help`;
  if (words.length < min) throw usage(`${command.name} needs more: ${command.usage.join('\n  or ')}`, see);
  if (words.length > max) throw usage(`${command.name} does not know what to do with the word number ${max + 1} behind it`, see);
}

function nearestFlag(command: Command, raw: string): string {
  const names = Object.entries(command.options).flatMap(([name, { short }]) => [
    `--${name}`,
    ...(short === undefined ? [] : [`-${short}`]),
  ]);
  return nearest(raw, names);
}
