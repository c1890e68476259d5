/** Work that is measured runs in a process of its own, as the program itself would: its CPU and memory are its own. */
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = readFileSync(new URL('../bin/crossfade', import.meta.url), 'utf8');

/** Node's flags as bin/crossfade has them: a stage that runs with others measures another program. */
function programFlags(): string[] {
  const flags = /^exec "\$node" (.+) "\$here/m.exec(program)?.[1]?.split(' ');
  if (!flags?.every((flag) => flag.startsWith('--'))) throw new Error('bin/crossfade does not name its flags as expected');
  return flags;
}

/** The same of malloc, unless the caller's environment says otherwise. */
function programVariables(): Readonly<Record<string, string>> {
  const found = [...program.matchAll(/(MALLOC_[A-Z_]+)="\$\{\1:-(\d+)\}"/g)];
  if (found.length !== 3) throw new Error('bin/crossfade does not bound malloc as expected');
  return Object.fromEntries(found.map(([, name = '', value = '']) => [name, process.env[name] ?? value]));
}

/** Starts `entry`, hands it `task`, and resolves with its one answer; `what` names it in errors. */
export function inChild<Answer>(entry: URL, what: string, task: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(entry), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // With ours, so that `node --cpu-prof bench/main.ts` profiles the children.
      execArgv: [...process.execArgv, ...programFlags()],
      env: { ...process.env, ...programVariables() },
    });
    child.once('message', (message: { readonly answer: Answer } | { readonly failure: string }) => {
      if ('failure' in message) reject(new Error(message.failure));
      else resolve(message.answer);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`${what} ended with ${code ?? signal} and no result`)));
    child.send(task);
  });
}

/** The child's side: does what it is told once, answers, and lets go of the parent. The task is what its `inChild` hands on. */
export function answerParent(work: (task: never) => Promise<object>): void {
  process.once('message', (task) => {
    void work(task as never)
      .then(
        (answer) => process.send?.({ answer }),
        (error: unknown) => process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      )
      .finally(() => process.disconnect?.());
  });
}
