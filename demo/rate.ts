/** A counter's speed over the last seconds, and its past as a sparkline. */
export class Rate {
  readonly #samples: { readonly atMs: number; readonly total: number }[] = [];
  readonly #history: number[] = [];
  #historyMs = 0;

  add(total: number, atMs = performance.now()): void {
    this.#samples.push({ atMs, total });
    while (this.#samples.length > 2 && (this.#samples[0]?.atMs ?? 0) < atMs - 3000) this.#samples.shift();
    if (atMs - this.#historyMs < 1000) return;
    this.#historyMs = atMs;
    this.#history.push(this.perSecond);
    if (this.#history.length > 60) this.#history.shift();
  }

  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs === first.atMs) return 0;
    return Math.max(0, ((last.total - first.total) * 1000) / (last.atMs - first.atMs));
  }

  /** The last `width` seconds, scaled to `ceiling`. */
  sparkline(width: number, ceiling: number): string {
    const bars = '▁▂▃▄▅▆▇█';
    return this.#history
      .slice(-width)
      .map((value) => bars[Math.min(7, Math.max(0, Math.round((value / Math.max(1, ceiling)) * 7)))])
      .join('');
  }

  get highest(): number {
    return Math.max(0, ...this.#history);
  }
}
