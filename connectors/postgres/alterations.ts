/** How many values a policy of the configuration made storable, by column: told in the log, for they are not the source's any more. */
export type Altered = Readonly<Record<string, number>>;

/** What came of some work, and what it altered; undefined for nothing. */
export interface Apart<T> {
  readonly answer: T;
  readonly altered: Altered | undefined;
}

export class Alterations {
  #counts = new Map<string, number>();

  counter(column: string): (what: string) => void {
    return (what) => {
      const name = `${column} ${what}`;
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    };
  }

  /** Counts this work's alterations by themselves: it may never be sent. */
  apart<T>(work: () => T): Apart<T> {
    const others = this.#counts;
    this.#counts = new Map();
    try {
      return { answer: work(), altered: this.take() };
    } finally {
      this.#counts = others;
    }
  }

  add(altered: Altered | undefined): void {
    for (const [name, count] of Object.entries(altered ?? {})) this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  /** What came since the last call; undefined for nothing. */
  take(): Altered | undefined {
    if (this.#counts.size === 0) return undefined;
    const counts = Object.fromEntries(this.#counts);
    this.#counts.clear();
    return counts;
  }
}
