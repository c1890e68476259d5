/** Findings of the MySQL source. */
import type { Finding } from '../../../src/core/ports.ts';

export function finding(level: Finding['level'], code: string, message: string, fix?: string, where = 'source'): Finding {
  return { level, code, where, message, ...(fix === undefined ? {} : { fix }) };
}

/** A name in a statement that we suggest. */
export const quoted = (name: string) => `\`${name.replaceAll('`', '``')}\``;
