import { inChild } from './child.ts';

export interface StageTask {
  readonly configPath: string;
  readonly part: 'capture' | 'apply';
  readonly service?: string;
  /** Records of the log, tombstones counted. */
  readonly records: number;
  readonly deadlineSeconds: number;
}

export interface FromStage {
  readonly seconds: number;
  readonly records: number;
  readonly cpuUs: number;
  /** Highest resident set of the process so far. */
  readonly rssMb: number;
}

/** Runs one stage in a process of its own, as the program itself would run. */
export const runStage = (task: StageTask): Promise<FromStage> =>
  inChild(new URL('stage-process.ts', import.meta.url), `the ${task.part} stage`, task);
