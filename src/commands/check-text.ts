/** How the findings of a check are shown: to a person, or as statements for the servers' own clients. */
import type { Config } from '../config.ts';
import type { Problem } from './check-problems.ts';
import { runbookLink } from './failure.ts';
import { type Output, plural, wrap } from './output.ts';

/** For a person: each problem with its help, and the verdict at the end. */
export function reportText(config: Config, findings: readonly Problem[], output: Output): string {
  const errors = findings.filter(({ level }) => level === 'error').length;
  const tables = plural(config.tables.length, 'table');
  const services = plural(config.services.length, 'service');
  const counted = `${plural(errors, 'error')}, ${plural(findings.length - errors, 'warning')}`;
  const verdict = errors === 0 ? output.paint('green', `ready: ${tables}, ${services}; ${counted}`) : `not ready: ${counted}`;
  return `${[...findings.map((each) => problemBlock(each, output)), verdict].join('\n')}\n`;
}

/** One problem: what, where, and the statement or the words that mend it. */
export function problemBlock({ level, code, where, message, fix, remedy }: Problem, output: Output): string {
  const width = Math.min(100, Math.max(40, output.columns));
  const mark = output.paint(level === 'error' ? 'red' : 'yellow', level);
  const help = [...(remedy === undefined ? [] : [wrap(remedy, width, '  ')]), ...(fix === undefined ? [] : fixLines(fix, width, output))];
  return [
    `${mark} ${output.paint('bold', where)}`,
    wrap(message, width, '  '),
    ...help,
    output.paint('dim', `  ${code}, see ${runbookLink(code)}`),
    '',
  ].join('\n');
}

/** Words are wrapped; what is pasted, a statement or a line of the configuration, is not. */
function fixLines(fix: string, width: number, output: Output): string[] {
  if (!isStatement(fix) && !/^\w+: /.test(fix)) return [wrap(fix, width, '  ')];
  return fix.split('\n').map((line) => `  ${output.paint('cyan', line)}`);
}

/** The servers' names, in their order, that have statements of their own; a hint for the configuration is none. */
export function serversOf(findings: readonly Problem[]): string[] {
  return [...new Set(findings.filter(({ fix }) => fix !== undefined && isStatement(fix)).map(partOf))];
}

const partOf = ({ where }: Problem) => where.split(':')[0] ?? where;

/** Grouped by server, each under a comment that names it, so that a part of it can be piped into the server's own client. */
export function statementsText(findings: readonly Problem[]): string {
  const byPart = Map.groupBy(
    findings.filter(({ fix }) => fix !== undefined),
    partOf,
  );
  const parts = [...byPart].map(([part, problems]) => {
    const statements = joined([...new Set(problems.map(({ fix }) => statementText(fix ?? '')))]);
    return `-- run on: ${part}\n${statements.join('\n')}\n`;
  });
  return parts.join('\n');
}

export const isStatement = (fix: string) => /^\s*(--|\/\*|[A-Z]{3,}\b)/.test(fix);

/** A configuration line is no statement: it goes in as a comment, so that the client does not trip over it. */
function statementText(fix: string): string {
  if (!isStatement(fix)) return fix.replace(/^/gm, '-- ');
  return /;\s*$/.test(fix) ? fix.trimEnd() : `${fix.trimEnd()};`;
}

/** An ALTER TABLE of our own making, on one line: `ALTER TABLE "schema"."table" …;`. */
const alteration = /^(ALTER TABLE (?:"(?:[^"]|"")+"\.)?"(?:[^"]|"")+") (.*);$/;

/** A table that is altered in one statement is locked and rewritten once; all stand where the first of them stood. */
function joined(statements: readonly string[]): string[] {
  const clauses = new Map<string, string[]>();
  for (const statement of statements) {
    const [, table, clause] = alteration.exec(statement) ?? [];
    if (table === undefined || clause === undefined) clauses.set(statement, []);
    else clauses.set(table, [...(clauses.get(table) ?? []), clause]);
  }
  return [...clauses].map(([text, list]) => {
    if (list.length === 0) return text;
    return list.length === 1 ? `${text} ${list[0]};` : `${text}\n  ${list.join(',\n  ')};`;
  });
}
