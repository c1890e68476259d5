/** What `run` asks before it starts: whether the configuration can work at all. A server that does not answer is no reason to stay away. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config, ServiceConfig } from '../config.ts';
import type { Logger } from '../core/ports.ts';
import { findProblems, type Problem } from './check-problems.ts';

/** Each says that rows would be lost or refused whatever happens later; what can pass by itself is the loop's business. */
const hopeless = new Set([
  'CONFIG_INVALID',
  'SOURCE_TABLE_MISSING',
  'SOURCE_TABLE_KEYLESS',
  'SOURCE_TYPE_UNSUPPORTED',
  'SOURCE_SETTING',
  'SOURCE_PRIVILEGE',
  'TARGET_TABLE_MISSING',
  'TARGET_COLUMN_MISSING',
  'TARGET_COLUMN_TYPE',
  'TARGET_KEY_MISSING',
]);

/** Nothing later would show it: rows that another pipeline applied last and rows that this one begins with may not meet. */
const isGapOfStart = ({ level, code }: Problem) => level === 'warning' && code === 'TARGET_PROGRESS_FOREIGN';

/** Long enough for servers at work; one that is away must not hold up a restart. */
const deadlineMs = 3000;

export interface PreflightParts {
  readonly capture: boolean;
  readonly services: readonly ServiceConfig[];
}

/** The errors that a start would run into or, worse, hide; empty where all is well or nobody could be asked in time. */
export async function preflight(config: Config, parts: PreflightParts, logger: Logger, signal: AbortSignal): Promise<readonly Problem[]> {
  const over = new AbortController();
  const names = [...(parts.capture ? ['source'] : []), ...parts.services.map(({ name }) => name)];
  const asked = findProblems(config, names, false);
  const late = sleep(deadlineMs, 'late' as const, { signal: AbortSignal.any([signal, over.signal]) }).catch(() => 'late' as const);
  const problems = await Promise.race([asked, late]);
  over.abort();
  if (problems === 'late') {
    if (!signal.aborted)
      logger.warn({}, `started unchecked: not every server answered within ${deadlineMs / 1000} s; \`crossfade check\` checks`);
    return [];
  }
  for (const { code, where, message } of problems.filter(isGapOfStart)) logger.warn({ code, where }, message);
  // What a service needs of the source is in the log: a table that was dropped since must not keep its last changes away.
  const found = problems.filter(
    ({ level, code }) => level === 'error' && hopeless.has(code) && (parts.capture || !code.startsWith('SOURCE_')),
  );
  const others = [...new Set(problems.filter(({ level, code }) => level === 'error' && !hopeless.has(code)).map(({ code }) => code))];
  if (found.length === 0 && others.length > 0)
    logger.warn({ codes: others }, `started with parts unchecked (${others.join(', ')}); \`crossfade check\` says more`);
  return found;
}
