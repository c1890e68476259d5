/** What a connection still waits for, so that a stop is heard while a server does not answer. */

/** Long enough for work in hand to end in good order, well within what a thread or a supervisor grants. */
const longestStoppingMs = 5000;

/**
 * One for each connection. `giveUp` ends it, so that whoever waits meets an error: at once when the stop comes and the server
 * has never answered, since nothing can be in hand there; else when it has not answered anything for `stoppingMs` since.
 */
export class Unanswered implements Disposable {
  readonly #stop: AbortSignal | undefined;
  readonly #giveUp: () => void;
  readonly #stoppingMs: number;
  #waiting = 0;
  #answers = 0;
  #looking: ReturnType<typeof setInterval> | undefined;

  constructor(stop: AbortSignal | undefined, giveUp: () => void, stoppingMs = longestStoppingMs) {
    this.#stop = stop;
    this.#giveUp = giveUp;
    this.#stoppingMs = stoppingMs;
    stop?.addEventListener('abort', this.#stopped);
    if (stop?.aborted) this.#stopped();
  }

  /** A wait whose end is an answer. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const answer = await this.opening(work);
    this.#answers += 1;
    return answer;
  }

  /** A wait whose end says nothing yet: a port may take connections for a server that hangs. */
  async opening<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting += 1;
    try {
      const done = work();
      if (this.#stop?.aborted && this.#answers === 0) this.#giveUp();
      return await done;
    } finally {
      this.#waiting -= 1;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#looking);
    this.#stop?.removeEventListener('abort', this.#stopped);
  }

  readonly #stopped = (): void => {
    if (this.#waiting > 0 && this.#answers === 0) return this.#giveUp();
    let before = this.#answers;
    this.#looking ??= setInterval(() => {
      if (this.#waiting > 0 && this.#answers === before) this.#giveUp();
      before = this.#answers;
    }, this.#stoppingMs);
  };
}
