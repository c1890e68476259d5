/** The closed list of transforms, and how a person writes them. */
import { z } from 'zod';
import type { Transform } from '../src/core/sink-port.ts';
import { project } from './project.ts';
import { rename } from './rename.ts';

const columnName = z.string().min(1);

/** One stage of `transforms:`, an object with the one key that names it. Unknown keys are reported as such. */
export const transformSchema = z
  .strictObject({
    rename: z.record(columnName, columnName).optional().describe('Old name: new name. All at once, so two columns can swap.'),
    project: z
      .array(columnName)
      .min(1)
      // Columns stay in the table's order, so the order of the list has no meaning: two spellings of it are one setting.
      .overwrite((columns) => [...new Set(columns)].sort())
      .optional()
      .describe('The columns to keep; those of the key must be among them.'),
  })
  .superRefine((stages, context) => {
    const named = Object.values(stages).filter((stage) => stage !== undefined).length;
    if (named !== 1) context.addIssue({ code: 'custom', message: 'a transform is exactly one of: rename, project' });
  });
export type TransformConfig = Readonly<z.output<typeof transformSchema>>;

/** Takes what {@link transformSchema} answered. */
export function makeTransform(config: TransformConfig): Transform {
  if (config.rename) return rename(config.rename);
  if (config.project) return project(config.project);
  throw new TypeError('a transform without a stage was not parsed by transformSchema');
}
