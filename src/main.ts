/** argv → command → exit code. The only place that ends the process or listens to signals. */
import { commandHelp, overview } from './commands/help.ts';
import { exitCodeOf, failureText } from './commands/failure.ts';
import { makeOutput } from './commands/output.ts';
import { commands, parseCommandLine } from './commands/table.ts';
import { environment } from './config.ts';

const output = makeOutput(process, environment);

// A reader that went away (`crossfade status | head`) is not an error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 5));
}

/** What nobody awaited or caught: a bug of ours, so nothing may go on, but a new start may get over it. */
const lastResort = (thrown: unknown) => {
  output.err(failureText(thrown, output));
  process.exit(5);
};
process.on('unhandledRejection', lastResort);
process.on('uncaughtException', lastResort);

/** The first signal drains, the second ends at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return stop.signal;
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 0) {
    output.err(overview(commands, output));
    return 2;
  }
  try {
    const { command, flags, words } = parseCommandLine(argv);
    if (flags.on('help')) {
      output.out(commandHelp(command, output));
      return 0;
    }
    const run = await command.load();
    return await run({ flags, words, output, signal: stopSignal() });
  } catch (thrown) {
    output.statusLine('');
    output.err(failureText(thrown, output));
    return exitCodeOf(thrown);
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 15)) {
  output.err(`error Crossfade needs Node 24.15 or newer; this is ${process.versions.node}. bin/crossfade starts the right one.\n`);
  process.exit(2);
}
const code = await main(process.argv.slice(2));
// Whatever still holds the process (a socket that does not close) must not outlive the answer; the streams are flushed first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
