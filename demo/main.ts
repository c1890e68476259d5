/** `npm run demo`: see demoUsage. */
import { demoUsage, parseArguments } from './arguments.ts';
import { runDemo } from './demo.ts';

const parsed = parseArguments(process.argv.slice(2));
if (parsed === undefined || typeof parsed === 'string') {
  process.stderr.write(parsed === undefined ? `${demoUsage}\n` : `${parsed}\n\n${demoUsage}\n`);
  process.exitCode = parsed === undefined ? 0 : 2;
} else {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
    process.stderr.write('\ndemo: stopping; Ctrl-C again ends at once\n');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  try {
    process.exitCode = await runDemo(parsed, stop.signal);
  } catch (error) {
    process.stderr.write(`\ndemo: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
  // Whatever a client library still holds open must not keep a person waiting.
  process.exit();
}
