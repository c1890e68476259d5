/** A batch as steps: folded and set by set, or change by change in order when the sets collide with a constraint. */
import type { Row } from '../../src/core/change.ts';
import { foldEntries, type FoldedRow } from '../../src/core/fold.ts';
import { invariant } from '../../src/core/assert.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import { columnArrays, copyText, rowValues } from './parameters.ts';
import type { TablePlan } from './plan.ts';
import { copyFromRows, removeStep, type RowStep, type SetOptions, stagedSteps, type TableSteps, upsertStep } from './row-steps.ts';
import { scannedSteps } from './scanned-batch.ts';

export type PlanOf = (entry: Entry) => TablePlan;

/**
 * All deletes first, then all upserts, each table in the order in which the batch first touched it: a child inserted
 * after its parent stays after it, a child deleted before its parent stays before it.
 */
export function foldedSteps(entries: readonly Entry[], planOf: PlanOf, options: SetOptions): RowStep[] {
  const steps = [...byMapping(entries).values()].flatMap(
    (some) => scannedSteps(some, planOf, options) ?? parsedSteps(some, planOf, options),
  );
  return [...steps.flatMap(({ removed }) => removed), ...steps.flatMap(({ upserted }) => upserted)];
}

function byMapping(entries: readonly Entry[]): Map<number, Entry[]> {
  const groups = new Map<number, Entry[]>();
  let last: Entry[] | undefined;
  let lastMapping = -1;
  for (const entry of entries) {
    if (entry.mapping !== lastMapping || last === undefined) {
      last = groups.get(entry.mapping);
      if (!last) groups.set(entry.mapping, (last = []));
      lastMapping = entry.mapping;
    }
    last.push(entry);
  }
  return groups;
}

function parsedSteps(entries: readonly Entry[], planOf: PlanOf, { mayStage, stageFromRows = copyFromRows }: SetOptions): TableSteps[] {
  const groups = [...foldEntries(entries).values()].flatMap((rows) => byPlan(rows, planOf));
  return groups.map(([plan, rows]) => {
    const gone = rows.filter(({ row }) => row === undefined).map(({ identity }) => identity);
    const removed = gone.length === 0 ? [] : [removeStep(plan, columnArrays(plan, plan.key, gone))];
    const present = rows.flatMap(({ row }) => (row === undefined || isLarge(row) ? [] : [row]));
    const upserts =
      present.length === 0
        ? []
        : mayStage && present.length >= stageFromRows
          ? stagedSteps(plan, copyText(plan, present))
          : [upsertStep(plan, columnArrays(plan, plan.columns, present))];
    const large = rows.flatMap(({ row }) => (row !== undefined && isLarge(row) ? [upsertOneStep(plan, row)] : []));
    return { removed, upserted: [...upserts, ...large] };
  });
}

/** The source's own order, one row at a time: whatever the source could do, this can. */
export function singleSteps(entries: readonly Entry[], planOf: PlanOf): RowStep[] {
  return entries.flatMap((entry) => {
    const plan = planOf(entry);
    const { event } = entry;
    if (event.op === 'delete') return [removeOneStep(plan, event.before)];
    invariant(event.op !== 'truncate', 'a truncate comes alone, as a barrier');
    const moved = event.op === 'update' && plan.key.some(({ source }) => !sameValue(event.before[source.name], event.after[source.name]));
    const upsert = isLarge(event.after)
      ? upsertOneStep(plan, event.after)
      : upsertStep(plan, columnArrays(plan, plan.columns, [event.after]));
    return moved ? [removeOneStep(plan, event.before), upsert] : [upsert];
  });
}

function sameValue(left: Row[string] | undefined, right: Row[string] | undefined): boolean {
  if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.compare(left, right) === 0;
  return Object.is(left, right);
}

function byPlan(rows: readonly FoldedRow[], planOf: PlanOf): [TablePlan, FoldedRow[]][] {
  const groups = new Map<TablePlan, FoldedRow[]>();
  for (const row of rows) {
    const plan = planOf(row.entry);
    const group = groups.get(plan);
    if (group) group.push(row);
    else groups.set(plan, [row]);
  }
  return [...groups];
}

const removeOneStep = (plan: TablePlan, row: Row) => removeStep(plan, columnArrays(plan, plan.key, [row]));

/** A value of so many characters or bytes goes alone: an array of them would be made of copies of each. */
const largeLength = 1024 * 1024;

function isLarge(row: Row): boolean {
  for (const name in row) {
    const value = row[name];
    if ((typeof value === 'string' || value instanceof Uint8Array) && value.length > largeLength) return true;
  }
  return false;
}

function upsertOneStep(plan: TablePlan, row: Row): RowStep {
  return { title: plan.title, name: `crossfade_upsert_one_${plan.id}`, text: plan.upsertOne, values: rowValues(plan, row) };
}
