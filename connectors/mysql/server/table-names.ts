/** Whether names of tables that differ only in case are the same for the server. */
import type { Metadata } from './metadata.ts';

export async function foldsTableNames(metadata: Metadata): Promise<boolean> {
  const [row] = await metadata.rows('SELECT @@GLOBAL.lower_case_table_names AS folds');
  return Number(row?.['folds']) !== 0;
}
