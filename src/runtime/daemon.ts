/** Several parts, one life: the first that cannot go on stops the others, and every end is awaited. */
import { Worker } from 'node:worker_threads';
import { asCrossfadeError, CrossfadeError } from '../core/errors.ts';

export interface Part {
  readonly name: string;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Resolves when all ended by the signal; throws the first failure once the others have ended too. */
export async function supervise(parts: readonly Part[], signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const failures: CrossfadeError[] = [];
  await Promise.all(
    parts.map(async ({ run }) => {
      try {
        await run(either);
      } catch (thrown) {
        failures.push(...reasonsOf(thrown));
        failed.abort();
      }
    }),
  );
  const [first, ...others] = failures;
  // The first is the reason to stop; the others are told too, each may need a person of its own.
  if (first !== undefined) throw others.length === 0 ? first : new AggregateError(failures, first.message);
}

/** A part may have several reasons of ours; a network's AggregateError is one. */
function reasonsOf(thrown: unknown): readonly CrossfadeError[] {
  const several: unknown[] = thrown instanceof AggregateError ? thrown.errors : [];
  const ours = several.filter((each) => each instanceof CrossfadeError);
  return ours.length > 0 && ours.length === several.length ? ours : [asCrossfadeError(thrown)];
}

export interface ThreadOptions {
  readonly name: string;
  readonly entry: URL;
  readonly workerData: unknown;
  /** Everything that the thread posts, but its own end. */
  readonly onMessage: (message: unknown) => void;
  /** Told when the thread did not drain in time and was ended: not a failure, since a stop was wanted and nothing is lost by it. */
  readonly onCutShort: (warning: CrossfadeError) => void;
  /** How long the thread may take to drain before it is ended; 10 s. */
  readonly drainMs?: number;
}

/** What a thread posts as its last word when it cannot go on; an Error's own class does not survive the passage. */
export interface ThreadFailure {
  readonly failure: {
    readonly code: CrossfadeError['code'];
    readonly fault: CrossfadeError['fault'];
    readonly message: string;
    readonly remedy: string;
  };
}
export const stopMessage = 'stop';

/** A part that lives in a worker thread: told to stop by a message, ended by force when it does not listen. */
export function threadPart(options: ThreadOptions): Part {
  return { name: options.name, run: (signal) => runThread(options, signal) };
}

async function runThread(options: ThreadOptions, signal: AbortSignal): Promise<void> {
  const { name, entry, workerData, onMessage, onCutShort, drainMs = 10_000 } = options;
  if (signal.aborted) return;
  const worker = new Worker(entry, { name, workerData });
  let failure: CrossfadeError | undefined;
  let deadline: NodeJS.Timeout | undefined;
  const stop = () => {
    worker.postMessage(stopMessage);
    deadline = setTimeout(() => {
      onCutShort(cutShort(name, drainMs));
      void worker.terminate();
    }, drainMs);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve) => {
      worker.on('message', (message: unknown) => {
        if (isFailure(message)) failure = new CrossfadeError(message.failure);
        else onMessage(message);
      });
      worker.on('error', (thrown) => (failure ??= asCrossfadeError(thrown)));
      worker.on('exit', () => resolve());
    });
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener('abort', stop);
  }
  if (failure !== undefined) throw failure;
  if (!signal.aborted) throw asCrossfadeError(new Error(`thread ${name} ended by itself`));
}

function cutShort(name: string, drainMs: number): CrossfadeError {
  return new CrossfadeError({
    code: 'STOP_CUT_SHORT',
    fault: 'retry',
    message: `thread ${name} did not stop within ${drainMs / 1000} s and was ended`,
    remedy: 'Nothing was lost: what was under way is rolled back or done again at the next start. Look whether its target answers.',
  });
}

function isFailure(message: unknown): message is ThreadFailure {
  return typeof message === 'object' && message !== null && 'failure' in message;
}
