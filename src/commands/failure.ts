/** How an error is shown to a person: what, remedy, code, and where to read more. */
import { CrossfadeError } from '../core/errors.ts';
import { errorFields } from '../runtime/observe.ts';
import type { ExitCode } from './command.ts';
import { type Output, wrap } from './output.ts';

export function failureText(thrown: unknown, output: Output): string {
  if (thrown instanceof AggregateError) return thrown.errors.map((each) => failureText(each, output)).join('');
  const { code, message, remedy, cause, stack } = errorFields(thrown);
  const width = Math.min(100, Math.max(40, output.columns));
  const lines = [
    `${output.paint('red', 'error')} ${wrap(message, width)}${cause === undefined ? '' : ` (${cause})`}`,
    ...(stack ?? []).slice(0, 8).map((line) => `    ${line}`),
    ...(remedy === undefined ? [] : [wrap(remedy, width, '  ')]),
    output.paint('dim', `  ${code}, see ${runbookLink(code)}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The heading of a code in the runbook. */
export const runbookLink = (code: string) => `docs/runbook.md#${code.toLowerCase()}`;

/** Of several errors the one that most needs a person: a restart must not go round about it. */
export function exitCodeOf(thrown: unknown): ExitCode {
  if (thrown instanceof AggregateError) return thrown.errors.map(exitCodeOf).toSorted((one, other) => one - other)[0] ?? 5;
  const code = thrown instanceof CrossfadeError ? thrown.code : 'INTERNAL';
  if (code === 'USAGE' || code === 'CONFIG_INVALID' || code === 'CONFIG_UNREADABLE') return 2;
  return code === 'INTERNAL' ? 5 : 4;
}
