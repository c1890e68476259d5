/**
 * Several sets of rows as one statement: what a foreign key that cannot be deferred says is asked behind all of it. So a
 * parent's key moves with its children, which no order of statements could do.
 */
import type { Step } from './pipeline.ts';
import type { RowStep } from './row-steps.ts';

/** In this order: the server runs each part when its count is asked for, and those are asked one after another. */
export function oneStatement(steps: readonly RowStep[]): Step {
  const values: (string | Buffer | null)[] = [];
  const parts = steps.map((step, index) => {
    const before = values.length;
    values.push(...(step.values ?? []));
    return `s${index} AS (${renumbered(step.text, before)} RETURNING 1)`;
  });
  const counts = steps.map((_, index) => `(SELECT count(*) FROM s${index})`);
  return { text: `WITH ${parts.join(', ')} SELECT ${counts.join(', ')}`, values };
}

/** `$1` and so on, moved behind those that came before; what stands in a quoted name is a name. */
const renumbered = (text: string, by: number): string =>
  text.replaceAll(/"(?:[^"]|"")*"|\$(\d+)/g, (token, number?: string) => (number === undefined ? token : `$${Number(number) + by}`));
