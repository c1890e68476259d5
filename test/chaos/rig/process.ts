import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';

const crossfade = fileURLToPath(new URL('../../../bin/crossfade', import.meta.url));

/**
 * One Crossfade process under what every deployment has: a supervisor that starts it again when it dies. It must never
 * end by itself with anything but success, so such an end is remembered and fails the test.
 */
export class Daemon {
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: WriteStream;
  readonly ends: string[] = [];
  #child: ChildProcess | undefined;
  #stopping = false;
  #ended: Promise<void> = Promise.resolve();
  starts = 0;

  constructor(args: readonly string[], logFile: string, env: NodeJS.ProcessEnv = {}) {
    this.#args = args;
    this.#env = env;
    this.#log = createWriteStream(logFile, { flags: 'a' });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): this {
    this.starts += 1;
    const child = spawn('sh', [crossfade, ...this.#args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.#env } });
    child.stdout.pipe(this.#log, { end: false });
    child.stderr.pipe(this.#log, { end: false });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve();
        if (this.#stopping) return;
        if (signal !== 'SIGKILL') this.ends.push(`ended by itself with ${code ?? signal}`);
        this.start();
      });
    });
    return this;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#child?.kill(signal) !== true) throw new Error(`there is no process to send ${signal} to`);
  }

  /** kill -9, and nobody starts it again. */
  async end(): Promise<void> {
    this.#stopping = true;
    this.kill('SIGKILL');
    await this.#ended;
    this.#log.end();
  }

  /** For good, in its own orderly way. */
  async stop(): Promise<void> {
    if (this.#stopping) return await this.#ended;
    this.#stopping = true;
    this.#child?.kill('SIGCONT');
    this.#child?.kill('SIGTERM');
    const deadline = setTimeout(() => this.#child?.kill('SIGKILL'), 20_000);
    await this.#ended;
    clearTimeout(deadline);
    this.#log.end();
  }
}
