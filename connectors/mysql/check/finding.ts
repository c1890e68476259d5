/** Findings of the MySQL source. */
import type { Finding } from '../../../src/core/ports.ts';
import type { Metadata } from '../server/metadata.ts';

export function finding(level: Finding['level'], code: string, message: string, fix?: string, where = 'source'): Finding {
  return { level, code, where, message, ...(fix === undefined ? {} : { fix }) };
}

/** A name in a statement that we suggest. */
export const quoted = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** The user that the questions are asked as, in the form that GRANT takes. */
export async function accountOf(metadata: Metadata): Promise<string> {
  const [me] = await metadata.rows('SELECT CURRENT_USER() AS me');
  const [user = '', host = '%'] = String(me?.['me']).split(/@(?=[^@]*$)/);
  return `'${user}'@'${host}'`;
}
