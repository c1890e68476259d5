/** A batch whose rows are still the log's bytes: folded, and written from bytes to bytes wherever a column's plan allows. */
import { codeShift, cellStride, kindMask, nullCell } from '../../src/core/image-scanner.ts';
import { cellValue, imagesOf } from '../../src/core/scanned-change.ts';
import type { TableSchema } from '../../src/core/change.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import type { PlanOf } from './batch.ts';
import { cellForm, type CellForm, isReady } from './cell-forms.ts';
import { CellOutput, type Quoting } from './cell-output.ts';
import { byteaArray, converted } from './parameters.ts';
import type { PlannedColumn, TablePlan } from './plan.ts';
import { copyFromRows, removeStep, type SetOptions, stagedSteps, type TableSteps, upsertStep } from './row-steps.ts';
import { ScannedFold, type ScannedRow } from './scanned-fold.ts';
import { characterRoom } from './values-text.ts';

/** The entries of one mapping. undefined where some of them have no bytes, or a key that bytes do not decide: they are to be parsed. */
export function scannedSteps(entries: readonly Entry[], planOf: PlanOf, options: SetOptions): TableSteps[] | undefined {
  const [first] = entries;
  if (first === undefined) return undefined;
  const { schema } = first.event;
  const fold = new ScannedFold(keyOf(schema), entries.length);
  for (const { event } of entries) {
    const images = imagesOf(event);
    if (images === undefined || event.schema !== schema) return undefined;
    if (images.beforeAt >= 0 && !fold.put(images, images.beforeAt, true)) return undefined;
    if (images.afterAt >= 0 && !fold.put(images, images.afterAt, false)) return undefined;
  }
  const plan = planOf(first);
  const table = tableOf(plan, schema);
  const gone = fold.rows.filter(({ isGone }) => isGone);
  const present = gone.length === 0 ? fold.rows : fold.rows.filter(({ isGone }) => !isGone);
  const removed =
    gone.length === 0
      ? []
      : [
          removeStep(
            plan,
            table.key.map((column) => columnArray(plan, column, gone)),
          ),
        ];
  if (present.length === 0) return [{ removed, upserted: [] }];
  const { mayStage, stageFromRows = copyFromRows } = options;
  const isStaged = mayStage && present.length >= stageFromRows;
  const upserted = isStaged
    ? stagedSteps(plan, copyText(plan, table.columns, present))
    : [
        upsertStep(
          plan,
          table.columns.map((column) => columnArray(plan, column, present)),
        ),
      ];
  return [{ removed, upserted }];
}

interface ScannedColumn {
  readonly planned: PlannedColumn;
  readonly form: CellForm;
  readonly isBit: boolean;
  readonly room: number;
  /** Its number in the shape. */
  readonly index: number;
}

interface ScannedTable {
  readonly columns: readonly ScannedColumn[];
  readonly key: readonly ScannedColumn[];
}

const tables = new WeakMap<TablePlan, ScannedTable>();

function tableOf(plan: TablePlan, schema: TableSchema): ScannedTable {
  let table = tables.get(plan);
  if (table === undefined) {
    const columns = plan.columns.map((planned) => {
      const index = schema.columns.findIndex(({ name }) => name === planned.source.name);
      const form = cellForm(planned, plan.key.includes(planned));
      return { planned, form, isBit: form === 'bit', room: characterRoom(planned.source, planned.target) ?? 0, index };
    });
    const key = plan.key.map((planned) => columns[plan.columns.indexOf(planned)] as ScannedColumn);
    tables.set(plan, (table = { columns, key }));
  }
  return table;
}

const keys = new WeakMap<TableSchema, Int32Array>();

function keyOf(schema: TableSchema): Int32Array {
  let key = keys.get(schema);
  if (key === undefined) {
    key = Int32Array.from(schema.key, (wanted) => schema.columns.findIndex(({ name }) => name === wanted));
    keys.set(schema, key);
  }
  return key;
}

function write(out: CellOutput, plan: TablePlan, column: ScannedColumn, { images, base }: ScannedRow, quoting: Quoting): void {
  const { bytes, cells, picks } = images;
  const slot = base + (picks === undefined ? column.index : (picks[column.index] as number)) * cellStride;
  if ((((cells[slot] as number) >>> codeShift) & kindMask) === nullCell) out.null(quoting);
  else if (isReady(column.form, column.room, bytes, cells, slot)) out.ready(bytes, cells, slot, quoting, column.isBit);
  else out.text(converted(plan, column.planned, cellValue(column.planned.source.kind, images, slot), column.planned.toText), quoting);
}

const tab = 0x09;
const newline = 0x0a;
const comma = 0x2c;

function copyText(plan: TablePlan, columns: readonly ScannedColumn[], rows: readonly ScannedRow[]): Buffer {
  const out = new CellOutput(rows.length * 128);
  for (const row of rows) {
    for (let index = 0; index < columns.length; index += 1) {
      write(out, plan, columns[index] as ScannedColumn, row, 'copy');
      out.reserve(1);
      out.byte(tab);
    }
    out.bytes[out.at - 1] = newline;
  }
  return out.bytes.subarray(0, out.at);
}

function columnArray(plan: TablePlan, column: ScannedColumn, rows: readonly ScannedRow[]): string | Buffer {
  const { toBytes } = column.planned;
  if (toBytes !== undefined) return byteaArray(rows.map((row) => converted(plan, column.planned, valueIn(column, row), toBytes)));
  const out = new CellOutput(rows.length * 24 + 16);
  out.byte(0x7b);
  for (const row of rows) {
    write(out, plan, column, row, 'array');
    out.reserve(1);
    out.byte(comma);
  }
  out.bytes[out.at - 1] = 0x7d;
  return out.bytes.toString('utf8', 0, out.at);
}

function valueIn({ planned, index }: ScannedColumn, { images, base }: ScannedRow) {
  const cell = images.picks === undefined ? index : (images.picks[index] as number);
  return cellValue(planned.source.kind, images, base + cell * cellStride);
}
