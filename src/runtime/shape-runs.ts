import { tableName, type TableSchema } from '../core/change.ts';
import type { LogRecord } from '../core/log-port.ts';

/**
 * Cuts records where a table's shape changes, and around every barrier. Within one shape equal keys are equal text and the
 * last change of a key is its state; across shapes neither holds (a key of other columns, or of another scale), and across
 * a TRUNCATE there is no last change. So each run is folded alone, and a barrier is a run of its own.
 */
export function shapeRuns(records: readonly LogRecord[], schemas: ReadonlyMap<string, TableSchema>): LogRecord[][] {
  const runs: LogRecord[][] = [];
  let shapes = new Map<string, string>();
  let run: LogRecord[] = [];
  let previous = '';
  const cut = () => {
    if (run.length > 0) runs.push(run);
    run = [];
    shapes = new Map();
    previous = '';
  };
  for (const record of records) {
    if (record.barrier !== undefined) {
      cut();
      runs.push([record]);
      continue;
    }
    if (record.schemaId !== previous) {
      const schema = schemas.get(record.schemaId);
      const name = schema === undefined ? '' : tableName(schema.table);
      if ((shapes.get(name) ?? record.schemaId) !== record.schemaId) cut();
      previous = record.schemaId;
      shapes.set(name, previous);
    }
    run.push(record);
  }
  cut();
  return runs;
}

/** A batch of this run is `open` where a later run holds more of its transaction: parts of one are seen together or not at all. */
export function staysOpen(run: readonly LogRecord[], next: readonly LogRecord[] | undefined): boolean {
  if (run.at(-1)?.open === true) return true;
  // A barrier is a transaction of its own.
  return next !== undefined && run[0]?.barrier === undefined && next[0]?.barrier === undefined;
}

/** The only run of a delivery, where nothing is special about it: no barrier, and no transaction that goes on. */
export function plainRun(runs: readonly LogRecord[][]): readonly LogRecord[] | undefined {
  const [run, ...more] = runs;
  return run === undefined || more.length > 0 || run[0]?.barrier !== undefined || staysOpen(run, undefined) ? undefined : run;
}
