import { setTimeout as sleep } from 'node:timers/promises';

import type { Log } from '../progress.ts';
import { withProgress } from '../progress.ts';

interface Result {
  readonly claim: string;
  readonly seconds: number;
  readonly isTrue: boolean;
  /** What was seen, or why the claim failed. */
  readonly seen: string;
}

/** Claims that are tried one after the other, told as they come and once more as a table at the end. */
export class Proof {
  readonly #results: Result[] = [];
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Tries a claim; `attempt` answers with what it saw and throws where the claim does not hold. Never throws itself. */
  async claim(claim: string, attempt: () => Promise<string>): Promise<boolean> {
    const startedMs = Date.now();
    const result = await withProgress(this.#log, () => `  … ${claim}`, attempt).then(
      (seen) => ({ isTrue: true, seen }),
      (error: unknown) => ({ isTrue: false, seen: error instanceof Error ? error.message : String(error) }),
    );
    const seconds = (Date.now() - startedMs) / 1000;
    this.#results.push({ claim, seconds, ...result });
    this.#log(`${result.isTrue ? 'passed' : 'FAILED'}  ${claim} (${seconds.toFixed(1)} s)${result.seen === '' ? '' : `: ${result.seen}`}`);
    return result.isTrue;
  }

  /** The table, its sum as the last line. */
  report(): string {
    const failed = this.#results.filter(({ isTrue }) => !isTrue).length;
    const width = Math.max(...this.#results.map(({ claim }) => claim.length));
    const lines = this.#results.map(({ claim, seconds, isTrue }) => {
      return `${isTrue ? 'passed' : 'FAILED'}  ${claim.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`;
    });
    return [...lines, `${this.#results.length - failed} passed, ${failed} failed`].join('\n');
  }

  get hasFailed(): boolean {
    return this.#results.some(({ isTrue }) => !isTrue);
  }
}

/** Throws unless `condition`; `message` says what was seen instead. */
export function must(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

/** Asks until the answer is one; throws `what` with the last failure when it is none within `seconds`. */
export async function until<T>(what: string, seconds: number, ask: () => Promise<T | undefined>): Promise<T> {
  const untilMs = Date.now() + seconds * 1000;
  for (let last = ''; ;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (Date.now() > untilMs) throw new Error(`${what} did not come about within ${seconds} s${last}`);
    await sleep(250);
  }
}
