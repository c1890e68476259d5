/** The statements that write a table's rows, with the rows that were made ready for them. */
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { Step } from './pipeline.ts';
import type { TablePlan } from './plan.ts';

/** From so many rows of one table COPY through a temporary table beats arrays. */
export const copyFromRows = 2_000;

/** A step that writes rows, and whose rows: for messages. */
export interface RowStep extends Step {
  readonly title: string;
  /** The step only looks, by a division that fails: then this is why the batch cannot be applied. */
  readonly guard?: CrossfadeError;
  /** Needed only where an earlier part of the same transaction may have filled the staging table. */
  readonly clearsStage?: true;
}

export interface SetOptions {
  /** False when this user may create no temporary tables. */
  readonly mayStage: boolean;
  /** Of one table, from so many rows on; {@link copyFromRows}. */
  readonly stageFromRows?: number;
}

/** What a batch does to one table. */
export interface TableSteps {
  readonly removed: readonly RowStep[];
  readonly upserted: readonly RowStep[];
}

/** `keys`: an array for each of the key's columns. */
export function removeStep(plan: TablePlan, keys: readonly (string | Buffer)[]): RowStep {
  return { title: plan.title, name: `crossfade_remove_${plan.id}`, text: plan.remove, values: keys };
}

/** `columns`: an array for each column. */
export function upsertStep(plan: TablePlan, columns: readonly (string | Buffer)[]): RowStep {
  return { title: plan.title, name: `crossfade_upsert_${plan.id}`, text: plan.upsert, values: columns };
}

/** `rows`: in COPY's text form. */
export function stagedSteps(plan: TablePlan, rows: Buffer): RowStep[] {
  const { title, id } = plan;
  return [
    { title, name: `crossfade_stage_${id}`, text: plan.createStage },
    { title, name: `crossfade_clear_${id}`, text: plan.clearStage, clearsStage: true },
    { title, text: plan.copyStage, copy: rows },
    { title, name: `crossfade_merge_${id}`, text: plan.mergeStage },
  ];
}
