/** Steps one after another: behind one that takes its time the others wait, and whoever brings them is asked to pause. */
type Step = () => void | Promise<void>;

export interface Pauses {
  pause(): void;
  resume(): void;
  failed(error: unknown): void;
}

export class InTurn {
  readonly #source: Pauses;
  #waiting: Step[] | undefined;

  constructor(source: Pauses) {
    this.#source = source;
  }

  get busy(): boolean {
    return this.#waiting !== undefined;
  }

  /** At once, or behind those that wait. What a step needs must be its own when it has to wait. Failures go to `failed`. */
  run(step: Step): void {
    if (this.#waiting) {
      this.#waiting.push(step);
      return;
    }
    try {
      const slow = step();
      if (slow) this.wait(slow);
    } catch (error) {
      this.#source.failed(error);
    }
  }

  /** What began outside, while nothing waited, takes its time. */
  wait(slow: Promise<void>): void {
    this.#waiting = [];
    this.#source.pause();
    void this.#finish(slow);
  }

  async #finish(first: Promise<void>): Promise<void> {
    const waiting = this.#waiting ?? [];
    try {
      await first;
      for (let step = waiting.shift(); step; step = waiting.shift()) await step();
    } catch (error) {
      waiting.length = 0;
      this.#source.failed(error);
      return;
    }
    this.#waiting = undefined;
    this.#source.resume();
  }
}
