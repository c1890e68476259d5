/** A batch as steps: folded and set by set, or change by change in order when the sets collide with a constraint. */
import type { Row } from '../../src/core/change.ts';
import { foldEntries, type FoldedRow } from '../../src/core/fold.ts';
import { invariant } from '../../src/core/assert.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import type { Step } from './pipeline.ts';
import { columnArrays, copyText, rowValues } from './parameters.ts';
import type { TablePlan } from './plan.ts';

/** From so many rows of one table COPY through a temporary table beats arrays. */
export const copyFromRows = 2_000;

export type PlanOf = (entry: Entry) => TablePlan;

/** A step that writes rows, and whose rows: for messages. */
export interface RowStep extends Step {
  readonly title: string;
  /** The step only looks, by a division that fails: then this is why the batch cannot be applied. */
  readonly guard?: CrossfadeError;
}

export interface SetOptions {
  /** False when this user may create no temporary tables. */
  readonly mayStage: boolean;
  /** An earlier part of the same transaction may have filled the staging table. */
  readonly clearStage: boolean;
}

/**
 * All deletes first, then all upserts, each table in the order in which the batch first touched it: a child inserted
 * after its parent stays after it, a child deleted before its parent stays before it.
 */
export function foldedSteps(entries: readonly Entry[], planOf: PlanOf, options: SetOptions): RowStep[] {
  const groups = [...foldEntries(entries).values()].flatMap((rows) => byPlan(rows, planOf));
  const removed = groups.flatMap(([plan, rows]) => {
    const gone = rows.filter(({ row }) => row === undefined).map(({ identity }) => identity);
    return gone.length === 0 ? [] : [removeStep(plan, gone)];
  });
  const upserted = groups.flatMap(([plan, rows]) => {
    const present = rows.flatMap(({ row }) => (row === undefined || isLarge(row) ? [] : [row]));
    const large = rows.flatMap(({ row }) => (row !== undefined && isLarge(row) ? [upsertOneStep(plan, row)] : []));
    if (present.length === 0) return large;
    return options.mayStage && present.length >= copyFromRows
      ? [...stagedSteps(plan, present, options.clearStage), ...large]
      : [upsertStep(plan, present), ...large];
  });
  return [...removed, ...upserted];
}

/** The source's own order, one row at a time: whatever the source could do, this can. */
export function singleSteps(entries: readonly Entry[], planOf: PlanOf): RowStep[] {
  return entries.flatMap((entry) => {
    const plan = planOf(entry);
    const { event } = entry;
    if (event.op === 'delete') return [removeStep(plan, [event.before])];
    invariant(event.op !== 'truncate', 'a truncate comes alone, as a barrier');
    const moved = event.op === 'update' && plan.key.some(({ source }) => !sameValue(event.before[source.name], event.after[source.name]));
    return moved ? [removeStep(plan, [event.before]), upsertStep(plan, [event.after])] : [upsertStep(plan, [event.after])];
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

function removeStep(plan: TablePlan, rows: readonly Row[]): RowStep {
  return { title: plan.title, name: `crossfade_remove_${plan.id}`, text: plan.remove, values: columnArrays(plan, plan.key, rows) };
}

function upsertStep(plan: TablePlan, rows: readonly Row[]): RowStep {
  return { title: plan.title, name: `crossfade_upsert_${plan.id}`, text: plan.upsert, values: columnArrays(plan, plan.columns, rows) };
}

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

function stagedSteps(plan: TablePlan, rows: readonly Row[], clear: boolean): RowStep[] {
  const { title } = plan;
  const steps: RowStep[] = [
    { title, text: plan.createStage },
    { title, text: plan.copyStage, copy: copyText(plan, rows) },
    { title, text: plan.mergeStage },
  ];
  return clear ? steps.toSpliced(1, 0, { title, text: plan.clearStage }) : steps;
}
