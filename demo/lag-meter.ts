/**
 * Lag as a user of the targets would see it, measured without asking Crossfade: the workload says when a commit was
 * answered, and this meter looks until the row is there.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Pulse } from './workload.ts';

/** Answers the newest pulse value that the target shows: an order's id, or a bestseller's revision. */
export type Look = (pulse: Pulse) => Promise<number>;

const lookEveryMs = 3;
const windowMs = 10_000;

export class LagMeter {
  readonly #valueOf: (pulse: Pulse) => number;
  readonly #look: Look;
  readonly #waiting: Pulse[] = [];
  readonly #recent: { readonly atMs: number; readonly lagMs: number }[] = [];
  readonly #all: number[] = [];
  /** Nothing waited any more for the first time: what came before is the start, not the lag of a pipeline at work. */
  #caughtUpMs: number | undefined;
  #firstMs: number | undefined;
  #longestMs = 0;
  /** Changes of the source up to the newest pulse that arrived. */
  appliedChanges = 0;

  constructor(valueOf: (pulse: Pulse) => number, look: Look) {
    this.#valueOf = valueOf;
    this.#look = look;
  }

  add(pulse: Pulse): void {
    this.#firstMs ??= pulse.committedAtMs;
    this.#waiting.push(pulse);
  }

  /** Looks until the signal aborts; a target that does not answer lets the lag grow. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const newest = this.#waiting.at(-1);
      if (newest) await this.#once(newest);
      await sleep(this.#waiting.length > 0 && (this.lagNowMs() ?? 0) < 1000 ? lookEveryMs : 20, undefined, { signal }).catch(
        () => undefined,
      );
    }
  }

  async #once(newest: Pulse): Promise<void> {
    let seen: number;
    try {
      seen = await this.#look(newest);
    } catch {
      await sleep(200); // The server is down or not yet back: what waits goes on waiting, and its age is the lag.
      return;
    }
    const nowMs = Date.now();
    while (this.#waiting[0] && this.#valueOf(this.#waiting[0]) <= seen) {
      const pulse = this.#waiting.shift() as Pulse;
      const lagMs = Math.max(0, nowMs - pulse.committedAtMs);
      this.#recent.push({ atMs: nowMs, lagMs });
      if (this.#caughtUpMs === undefined) this.#longestMs = Math.max(this.#longestMs, lagMs);
      else this.#all.push(lagMs);
      this.appliedChanges = Math.max(this.appliedChanges, pulse.changes);
    }
    if (this.#waiting.length === 0) this.#caughtUpMs ??= nowMs;
  }

  /** The age of the oldest commit that is not visible yet; undefined when none waits. */
  #oldestMs(): number | undefined {
    return this.#waiting[0] && Date.now() - this.#waiting[0].committedAtMs;
  }

  /** What a row committed now has to expect: the median of the last second, or the age of what still waits when that is more. */
  lagNowMs(): number | undefined {
    const since = Date.now() - 1000;
    const last = this.#recent.filter(({ atMs }) => atMs > since).map(({ lagMs }) => lagMs);
    const oldest = this.#oldestMs();
    const median = percentile(last, 0.5);
    return median === undefined ? oldest : Math.max(median, oldest ?? 0);
  }

  /** Over the last ten seconds. */
  recent(quantile: number): number | undefined {
    const since = Date.now() - windowMs;
    while (this.#recent[0] && this.#recent[0].atMs < since) this.#recent.shift();
    return percentile(
      this.#recent.map(({ lagMs }) => lagMs),
      quantile,
    );
  }

  /** Over the whole run, from when it had caught up with the start. */
  overall(quantile: number): number | undefined {
    return percentile(this.#all, quantile);
  }

  /** What {@link overall} leaves out: how long the start took to be caught up with, and the longest lag in it; undefined before the first commit. */
  start(): { readonly seconds: number | undefined; readonly longestMs: number } | undefined {
    if (this.#firstMs === undefined) return undefined;
    const seconds = this.#caughtUpMs === undefined ? undefined : (this.#caughtUpMs - this.#firstMs) / 1000;
    return { seconds, longestMs: seconds === undefined ? Math.max(this.#longestMs, this.#oldestMs() ?? 0) : this.#longestMs };
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }
}

export function percentile(values: readonly number[], quantile: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))];
}
