/**
 * How readers hear of new batches: at once from writers in this process (any thread), and by looking at the file's
 * change counter otherwise; every millisecond while data flows, slowing down to every twenty when nothing comes.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BroadcastChannel } from 'node:worker_threads';

const shortestMs = 1;
const longestMs = 20;
const turnMs = 10;

export class Wakeup implements Disposable {
  readonly #channel: BroadcastChannel;
  readonly #waiting = new Set<() => void>();

  constructor(logId: string) {
    this.#channel = new BroadcastChannel(`crossfade-log-${logId}`);
    this.#channel.addEventListener('message', () => this.wake());
    // Only a waiting reader keeps the process alive, by its own timer.
    this.#channel.unref();
  }

  /** Tells all other connections of this process that something was committed. */
  announce(): void {
    this.#channel.postMessage(0);
    this.wake();
  }

  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves when woken, after the time, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      this.#waiting.add(done);
    });
  }

  [Symbol.dispose](): void {
    this.#channel.close();
    this.wake();
  }
}

/** The pause before the next look: short after anything was found, longer with every look in vain. */
export class Pace {
  #ms = shortestMs;
  #turnAtMs = performance.now();

  /**
   * Behind a delivery, before the next is read: lets the event loop turn now and then. A consumer that never waits would starve
   * this member's signs of life, and what it has just handed to its target leaves this process before the next is decoded.
   */
  async found(): Promise<void> {
    this.#ms = shortestMs;
    if (performance.now() - this.#turnAtMs < turnMs) return;
    await nextTurn();
    this.#turnAtMs = performance.now();
  }

  nextMs(): number {
    const ms = this.#ms;
    this.#ms = Math.min(ms * 1.5, longestMs);
    return ms;
  }
}
