import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FaultPoint } from '../../../src/core/fault-point.ts';

const preload = fileURLToPath(new URL('fault-preload.ts', import.meta.url));

/** Orders for one process: at its next passage of a fault point it sends itself a signal. */
export class FaultOrders {
  readonly #file: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(folder: string, name: string) {
    this.#file = join(folder, `${name}.fault`);
    this.env = { CROSSFADE_TEST_FAULT_FILE: this.#file, NODE_OPTIONS: `--import=${preload} --disable-warning=ExperimentalWarning` };
  }

  /** Resolves when the process passed the point and consumed the order; false when it did not in time. */
  async order(point: FaultPoint, signal: NodeJS.Signals, deadlineMs = 15_000): Promise<boolean> {
    await writeFile(`${this.#file}.new`, `${point} ${signal}`);
    await rename(`${this.#file}.new`, this.#file);
    const deadline = Date.now() + deadlineMs;
    while (Date.now() < deadline) {
      if (!existsSync(this.#file)) return true;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await rm(this.#file, { force: true });
    return false;
  }
}
