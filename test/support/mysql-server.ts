/** What the MySQL suites share: a source on a database, reading until enough has come, and values read back with SELECT. */
import { mysqlSchema, type MysqlSettings } from '../../connectors/mysql/config.ts';
import { MysqlSource, type MysqlSourceOptions } from '../../connectors/mysql/source.ts';
import type { TableId } from '../../src/core/change.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/ports.ts';
import { plain, type PlainBatch, type PlainChange } from './source-harness.ts';

export const silentLogger: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function mysqlSettings(url: string, more: Partial<MysqlSettings> = {}): MysqlSettings {
  const parsed = new URL(url);
  parsed.pathname = '';
  return { ...mysqlSchema.parse(parsed.href), heartbeatSeconds: 0.5, ...more };
}

export function mysqlSource(settings: MysqlSettings, tables: readonly TableId[], more: Partial<MysqlSourceOptions> = {}): MysqlSource {
  return new MysqlSource(settings, { tables, keys: new Map(), logger: silentLogger, ...more });
}

/** Only ends what would never end; a machine that others load may take long. */
const deadlineMs = 100_000;

export interface Reading {
  readonly batches: readonly PlainBatch[];
  readonly changes: readonly PlainChange[];
  readonly position: string;
}

/** Reads until `count` changes have come (0: until the first batch), or fails after the deadline. */
export async function readChanges(source: MysqlSource, from: string, count: number): Promise<Reading> {
  const batches: PlainBatch[] = [];
  for await (const batch of source.read(from, AbortSignal.timeout(deadlineMs))) {
    batches.push({ ...batch, changes: batch.changes.map(plain) });
    const changes = batches.flatMap((batch) => batch.changes);
    if (changes.length >= count && !batch.open) return { batches, changes, position: batch.position };
  }
  throw new Error('the source ended');
}

/** The error that ends the reading; where nothing was heard for long, of a server that is only slow, it begins again. */
export async function readFailure(source: MysqlSource, from: string): Promise<CrossfadeError> {
  const deadline = AbortSignal.timeout(deadlineMs);
  for (;;) {
    try {
      for await (const batch of source.read(from, deadline)) void batch;
    } catch (error) {
      if ((error as { code?: unknown }).code === 'SOURCE_SILENT') continue;
      return error as CrossfadeError;
    }
    throw new Error('the source ended');
  }
}

/** Waits until `condition` holds; the deadline is the caller's test's. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
