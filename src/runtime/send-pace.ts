/**
 * When collected records go to the log. What comes behind a rest goes at once. Sending costs a sync to disk or a round trip
 * whatever is in it, so the next small one waits a few times as long as the last one took, and grows meanwhile: under load
 * batches become full by themselves, and at low rates nothing waits longer than a few milliseconds.
 */
export interface PaceClock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Calls `fire` once, later; what it answers takes that back. */
  at(delayMs: number, fire: () => void): () => void;
}

export const realPace: PaceClock = {
  now: () => performance.now(),
  at(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

const restsPerSend = 3;
const longestMs = 20;

export class SendPace implements Disposable {
  readonly #clock: PaceClock;
  readonly #leastMs: number;
  readonly #due: () => void;
  #notBeforeMs = -Infinity;
  #cancel: (() => void) | undefined;

  /** `due` is called when what waits may go. `leastMs`: a rest that is kept even if sending costs nothing, for tests. */
  constructor(clock: PaceClock, leastMs: number, due: () => void) {
    this.#clock = clock;
    this.#leastMs = leastMs;
    this.#due = due;
  }

  /** Whether what there is must wait; then `due` is called when it need not any more. */
  mustWait(): boolean {
    if (this.#cancel) return true;
    const waitMs = this.#notBeforeMs - this.#clock.now();
    if (waitMs <= 0) return false;
    this.#cancel = this.#clock.at(waitMs, () => {
      this.#cancel = undefined;
      this.#due();
    });
    return true;
  }

  /** Runs `send`, and measures what it kept the thread busy for. */
  during<T>(send: () => T): T {
    this[Symbol.dispose]();
    const startedMs = this.#clock.now();
    const answer = send();
    const endedMs = this.#clock.now();
    this.#notBeforeMs = endedMs + Math.min(longestMs, Math.max(this.#leastMs, (endedMs - startedMs) * restsPerSend));
    return answer;
  }

  /** The next small one waits for so long from now on, at least. */
  rest(ms: number): void {
    if (ms > 0) this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#clock.now() + ms);
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
