/** `crossfade check`: every problem of every part at once, each with what mends it. Changes nothing. */
import { loadConfig, problemText, readConfig } from '../config.ts';
import { findProblems, type Problem } from './check-problems.ts';
import { reportText, serversOf, statementsText } from './check-text.ts';
import type { ExitCode, Invocation } from './command.ts';
import type { Output } from './output.ts';
import { nearest, usage } from './usage.ts';

export async function check({ flags, output }: Invocation): Promise<ExitCode> {
  const path = flags.text('config') ?? 'crossfade.yaml';
  if (flags.on('json')) {
    const reading = readConfig(path);
    if ('problems' in reading) {
      const findings = reading.problems.map((problem) => ({
        level: 'error',
        code: 'CONFIG_INVALID',
        where: 'configuration',
        message: problemText(path, problem),
      }));
      output.out(`${JSON.stringify({ ok: false, findings })}\n`);
      return 2;
    }
  }
  const config = loadConfig(path);
  const only = flags.text('only');
  const parts = ['source', 'log', ...config.services.map(({ name }) => name)];
  if (only !== undefined && !parts.includes(only))
    throw usage(`--only knows no "${only}"${nearest(only, parts)}`, 'crossfade check --help');
  const findings = await findProblems(config, only === undefined ? undefined : [only]);
  const failed = findings.some(({ level }) => level === 'error');
  if (flags.on('json')) output.out(`${JSON.stringify({ ok: !failed, findings })}\n`);
  else if (flags.on('statements')) printStatements(findings, output);
  else output.out(reportText(config, findings, output));
  return failed ? 1 : 0;
}

/** Into a pipe goes what one server understands; a person at a terminal sees all of it. */
function printStatements(findings: readonly Problem[], output: Output): void {
  const servers = serversOf(findings);
  if (!output.live && servers.length > 1) {
    const names = servers.map((name) => name.replace(/^service /, ''));
    throw usage(
      `the statements are for ${names.length} servers (${names.join(', ')}): name one with --only ${names.join(' or --only ')}`,
      'crossfade check --help',
    );
  }
  const text = statementsText(findings);
  output.out(text);
  // A client swallows comments, and these say what no statement can do.
  const hints = output.live ? [] : text.split('\n').filter((line) => line.startsWith('-- ') && !line.startsWith('-- run on: '));
  if (hints.length > 0) output.err(`${hints.join('\n')}\n`);
}
