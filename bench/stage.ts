import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

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

/** Runs one stage in a process of its own. */
export function runStage(task: StageTask): Promise<FromStage> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('stage-process.ts', import.meta.url)), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // With ours, so that `node --cpu-prof bench/main.ts` profiles the stages.
      execArgv: [...process.execArgv, '--disable-warning=ExperimentalWarning'],
    });
    child.once('message', (message: FromStage | { readonly failure: string }) => {
      if ('failure' in message) reject(new Error(message.failure));
      else resolve(message);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`the ${task.part} stage ended with ${code ?? signal} and no result`)));
    child.send(task);
  });
}
