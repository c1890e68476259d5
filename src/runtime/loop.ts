import type { ErrorCode } from '../core/errors.ts';
import { asCrossfadeError, type CrossfadeError } from '../core/errors.ts';
import type { Logger } from '../core/ports.ts';

/**
 * The one loop around I/O. A session opens fresh connections (`await using`), streams until it throws or the signal
 * aborts, and calls `progressed` whenever something durable happened, which resets the back-off.
 */
export type LoopState = 'starting' | 'running' | 'waiting' | 'stopped' | 'failed';

export interface Run {
  readonly signal: AbortSignal;
  /** Connected and resumed; says nothing about the back-off, because what failed may fail again. */
  ready(): void;
  /**
   * Something durable happened: the next failure starts with the shortest back-off again. With a `scope`, only there: the
   * streak of an error of another scope goes on, or a blocked table would be called recovered whenever another one moves.
   */
  progressed(scope?: string): void;
}

export interface LoopOptions {
  readonly name: string;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Told every change of state; `error` with `waiting` and `failed`. */
  readonly onState?: (state: LoopState, error?: CrossfadeError) => void;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random?: () => number;
  readonly now?: () => number;
}

const firstDelayMs = 100;
const delayCapMs = 10_000;

/** Resolves when the signal aborted and the session has ended; throws the first error that the loop may not retry. */
export async function runLoop(session: (run: Run) => Promise<void>, options: LoopOptions): Promise<void> {
  const { signal, logger } = options;
  const sleep = options.sleep ?? sleepUnlessAborted;
  const streak = new Streak(options.now ?? Date.now);
  const run: Run = {
    signal,
    ready: () => options.onState?.('running'),
    progressed: (scope) => {
      const ended = streak.end(scope);
      if (ended) {
        logger.info({ part: options.name, attempts: ended.attempts, seconds: ended.seconds }, 'recovered');
        options.onState?.('running');
      }
    },
  };
  while (!signal.aborted) {
    options.onState?.(streak.attempts === 0 ? 'starting' : 'waiting');
    const error = await outcome(session, run);
    if (signal.aborted) {
      // What a connection says while it is being torn down is noise, unless it is a verdict on the data.
      if (error?.code === 'INTERNAL') logger.info({ part: options.name, err: error }, 'session ended badly while stopping');
      else if (error && error.fault !== 'retry') fail(options, error);
      break;
    }
    if (error && error.fault !== 'retry') fail(options, error);
    const delayMs = backOff(streak.add(error), options.random ?? Math.random);
    if (error && streak.worthSaying()) {
      logger.warn({ part: options.name, err: error, attempt: streak.attempts, delayMs }, 'session ended, trying again');
    }
    options.onState?.('waiting', error);
    await sleep(delayMs, signal);
  }
  options.onState?.('stopped');
}

async function outcome(session: (run: Run) => Promise<void>, run: Run): Promise<CrossfadeError | undefined> {
  try {
    await session(run);
    return undefined;
  } catch (thrown) {
    const error = worst(thrown);
    // The port's rule for an abort: to return, or to throw the signal's reason.
    return run.signal.aborted && error === run.signal.reason ? undefined : asCrossfadeError(error);
  }
}

/** `await using` wraps the first error when a dispose fails too; the first one is the reason. */
function worst(thrown: unknown): unknown {
  return thrown instanceof SuppressedError ? worst(thrown.suppressed) : thrown;
}

function fail(options: LoopOptions, error: CrossfadeError): never {
  options.onState?.('failed', error);
  throw error;
}

/** Exponential, capped, with half of it jittered so that many workers do not come back in step. */
export function backOff(attempt: number, random: () => number): number {
  const full = Math.min(delayCapMs, firstDelayMs * 2 ** Math.min(attempt - 1, 10));
  return Math.round(full / 2 + (full / 2) * random());
}

/** Failures in a row since the last durable progress. Said at the 1st, 2nd, 4th, 8th … so that a dead server is not a thousand lines. */
class Streak {
  readonly #now: () => number;
  #since = 0;
  #code: ErrorCode | undefined;
  #changed = false;
  #scope: string | undefined;
  attempts = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(error: CrossfadeError | undefined): number {
    const code = error?.code;
    this.#scope = error?.scope;
    if (this.attempts === 0) this.#since = this.#now();
    this.#changed = this.#code !== code;
    this.#code = code;
    this.attempts += 1;
    return this.attempts;
  }

  worthSaying(): boolean {
    return this.#changed || (this.attempts & (this.attempts - 1)) === 0;
  }

  end(scope: string | undefined): { attempts: number; seconds: number } | undefined {
    if (this.attempts === 0 || (this.#scope !== undefined && scope !== undefined && scope !== this.#scope)) return undefined;
    const ended = { attempts: this.attempts, seconds: Math.round((this.#now() - this.#since) / 100) / 10 };
    this.attempts = 0;
    this.#code = undefined;
    return ended;
  }
}

/** Ends early, without an error, when the signal aborts. */
export function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
