import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { readableLine } from '../src/runtime/observe.ts';

export const crossfadeProgram = fileURLToPath(new URL('../bin/crossfade', import.meta.url));
const logName = 'crossfade.log';
/** Ends that follow each other faster than this are no kills but a program that cannot run. */
const healthyMs = 5000;

/** `crossfade run` as a person would run it: a process of its own in the demo's folder, started again when it is killed. */
export class Pipeline {
  readonly #folder: string;
  readonly #onEvent: (text: string) => void;
  readonly #failed = Promise.withResolvers<never>();
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isStopping = false;
  #failures = 0;
  restarts = 0;
  onPid: (pid: number) => void = () => undefined;

  constructor(folder: string, onEvent: (text: string) => void) {
    this.#folder = folder;
    this.#onEvent = onEvent;
    this.#failed.promise.catch(() => undefined); // Whoever waits for it gets it; nobody has to.
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  /** Rejects once the program ended by itself three times in a row: somebody has to look. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  start(): void {
    const log = openSync(join(this.#folder, logName), 'a');
    // A group of its own, so that Ctrl-C is the demo's alone and `crossfade` is stopped once, in order.
    const child = spawn(crossfadeProgram, ['run'], { cwd: this.#folder, stdio: ['ignore', log, log], detached: true });
    const startedMs = performance.now();
    this.#child = child;
    if (child.pid !== undefined) this.onPid(child.pid);
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
    void this.#ended.then(() => this.#again(child, performance.now() - startedMs));
  }

  async #again(child: ChildProcess, livedMs: number): Promise<void> {
    if (this.#isStopping) return;
    const wasKilled = child.signalCode !== null;
    this.#failures = wasKilled || livedMs > healthyMs ? 0 : this.#failures + 1;
    if (this.#failures >= 3) {
      this.#failed.reject(new Error(`crossfade ended with code ${child.exitCode} three times; the end of its log:\n${this.logTail(20)}`));
      return;
    }
    // Long enough to be seen on the screen as growing lag.
    await sleep(1000);
    if (this.#isStopping) return;
    this.restarts += 1;
    this.start();
    this.#onEvent(`crossfade ${wasKilled ? 'was killed' : `ended with code ${child.exitCode}`}, started again as ${this.pid}`);
  }

  /** Until each of these services has claimed its partitions, for the first time; gives up quietly with the signal. */
  async claimed(services: readonly string[], signal: AbortSignal): Promise<void> {
    const claims = (line: string) =>
      services.filter((name) => line.includes('"partitions claimed"') && line.includes(`"service":"${name}"`));
    while (!signal.aborted) {
      const lines = readFileSync(join(this.#folder, logName), 'utf8').split('\n');
      if (new Set(lines.flatMap(claims)).size === services.length) return;
      await sleep(200, undefined, { signal }).catch(() => undefined);
    }
  }

  logTail(lines: number): string {
    try {
      const all = readFileSync(join(this.#folder, logName), 'utf8').trimEnd().split('\n');
      return all.slice(-lines).map(readable).join('\n');
    } catch {
      return '(no log)';
    }
  }

  /** Asks it to end in order; after ten seconds it is killed. Answers its exit code, undefined when it had to be killed. */
  async stop(): Promise<number | undefined> {
    this.#isStopping = true;
    if (this.pid === undefined) return this.#child?.exitCode ?? undefined;
    this.#child?.kill('SIGTERM');
    const deadline = setTimeout(() => this.#child?.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(deadline);
    return this.#child?.exitCode ?? undefined;
  }
}

/** A line of the log for a person; what is no log line (a start that failed) is left as it is. */
function readable(line: string): string {
  return line.startsWith('{') ? readableLine(line).trimEnd() : line;
}
