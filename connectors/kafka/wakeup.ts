/** One reader's sleep between deliveries: whatever wakes it before it sleeps counts too. */
import { setImmediate as nextTurn } from 'node:timers/promises';

const turnMs = 10;

export class Wakeup {
  #woken = false;
  #waiting: (() => void) | undefined;
  #turnAtMs = performance.now();

  wake(): void {
    this.#woken = true;
    this.#waiting?.();
  }

  /** Resolves when woken, after the time, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#woken || signal.aborted) {
      this.#woken = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting = undefined;
        this.#woken = false;
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      this.#waiting = done;
    });
  }

  /** Lets the event loop turn now and then: a consumer that never waits would starve this member's signs of life. */
  async turn(): Promise<void> {
    if (performance.now() - this.#turnAtMs < turnMs) return;
    await nextTurn();
    this.#turnAtMs = performance.now();
  }
}
