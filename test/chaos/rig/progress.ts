/** How far each part is, read from the log's own files, so that a test can see that something lives again after a kill. */
import { DatabaseSync } from 'node:sqlite';

/** Records in the log. */
export function logEnd(logFile: string): number {
  return sum(logFile, 'SELECT sum(end_offset) AS sum FROM partitions');
}

/** Records that a service said to have applied; told about once a second. */
export function appliedBy(logFile: string, service: string): number {
  return sum(`${logFile}-groups`, 'SELECT sum(next_offset) AS sum FROM offsets WHERE name = ?', service);
}

function sum(file: string, sql: string, ...parameters: string[]): number {
  using database = new DatabaseSync(file, { readOnly: true, timeout: 2000 });
  return Number(database.prepare(sql).get(...parameters)?.['sum'] ?? 0);
}

export async function until(
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number,
  what: () => string | Promise<string>,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMs / 1000} s: ${await what()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
