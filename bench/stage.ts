import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

const program = readFileSync(new URL('../bin/crossfade', import.meta.url), 'utf8');

/** Node's flags as bin/crossfade has them: a stage that runs with others measures another program. */
function programFlags(): string[] {
  const flags = /^exec "\$node" (.+) "\$here/m.exec(program)?.[1]?.split(' ');
  if (!flags?.every((flag) => flag.startsWith('--'))) throw new Error('bin/crossfade does not name its flags as expected');
  return flags;
}

/** The same of malloc, unless the caller's environment says otherwise. */
function programVariables(): { readonly MALLOC_ARENA_MAX: string } {
  const arenas = /MALLOC_ARENA_MAX:-(\d+)/.exec(program)?.[1];
  if (arenas === undefined) throw new Error('bin/crossfade does not bound the arenas of malloc as expected');
  return { MALLOC_ARENA_MAX: process.env['MALLOC_ARENA_MAX'] ?? arenas };
}

/** Runs one stage in a process of its own, as the program itself would run. */
export function runStage(task: StageTask): Promise<FromStage> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('stage-process.ts', import.meta.url)), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // With ours, so that `node --cpu-prof bench/main.ts` profiles the stages.
      execArgv: [...process.execArgv, ...programFlags()],
      env: { ...process.env, ...programVariables() },
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
