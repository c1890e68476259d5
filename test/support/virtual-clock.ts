/**
 * Time that only moves when nobody has anything left to do: a history of minutes takes milliseconds, and its sleeps end
 * in the same order in every run.
 */
interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

export class VirtualClock {
  #nowMs: number;
  #order = 0;
  /** Sorted, the next first. */
  readonly #timers: Timer[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  readonly now = (): number => this.#nowMs;

  at(delayMs: number, fire: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#timers[middle] as Timer).atMs <= timer.atMs) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** Ends early, without an error, when the signal aborts. */
  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const end = () => {
        cancel();
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.at(ms, end);
      signal?.addEventListener('abort', end, { once: true });
    });

  /** Lets everything run until `done` answers true; false when the virtual deadline passed first. */
  async runUntil(done: () => boolean, deadlineMs: number): Promise<boolean> {
    const end = this.#nowMs + deadlineMs;
    let idle = 0;
    for (;;) {
      await turn();
      if (done()) return true;
      const timer = this.#timers[0];
      // `done` itself may have started something that has not come to its first sleep yet.
      if (timer === undefined && idle++ === 0) continue;
      if (timer === undefined || timer.atMs > end) return false;
      idle = 0;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.fire();
    }
  }
}

/** All promises that can go on have gone on. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
