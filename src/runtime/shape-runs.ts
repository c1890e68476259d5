import { tableName, type TableSchema } from '../core/change.ts';
import type { LogRecord } from '../core/log-port.ts';

/**
 * Cuts records where a table's shape changes. Within one shape equal keys are equal text and the last change of a key is
 * its state; across shapes neither holds (a key of other columns, or of another scale), so each run is folded alone.
 */
export function shapeRuns(records: readonly LogRecord[], schemas: ReadonlyMap<string, TableSchema>): LogRecord[][] {
  const runs: LogRecord[][] = [];
  let shapes = new Map<string, string>();
  let run: LogRecord[] = [];
  let previous = '';
  for (const record of records) {
    if (record.schemaId !== previous) {
      previous = record.schemaId;
      const schema = schemas.get(previous);
      const name = schema === undefined ? '' : tableName(schema.table);
      if ((shapes.get(name) ?? previous) !== previous) {
        runs.push(run);
        run = [];
        shapes = new Map();
      }
      shapes.set(name, previous);
    }
    run.push(record);
  }
  if (run.length > 0) runs.push(run);
  return runs;
}
