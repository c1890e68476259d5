/** How many values a policy of the configuration made storable, by column: told in the log, for they are not the source's any more. */
export class Alterations {
  readonly #counts = new Map<string, number>();

  counter(column: string): (what: string) => void {
    return (what) => {
      const name = `${column} ${what}`;
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    };
  }

  /** What came since the last call; undefined for nothing. */
  take(): Readonly<Record<string, number>> | undefined {
    if (this.#counts.size === 0) return undefined;
    const counts = Object.fromEntries(this.#counts);
    this.#counts.clear();
    return counts;
  }
}
