/** When is a lag objective breached, and when has it recovered? Each once, and not at every blip. */

export interface AlarmOptions {
  readonly objectiveSeconds: number;
  /** Over the objective for so long without a pause: breached; 5000. */
  readonly breachAfterMs?: number;
  /** Not breached for so long: recovered; 10,000. */
  readonly recoverAfterMs?: number;
  /** Unknown for so long counts as over the objective: nobody can vouch for it; 60,000. */
  readonly unknownAfterMs?: number;
}
export type AlarmEvent = 'breached' | 'recovered';

/** One look may be late because this process itself slept: a verdict needs several. */
const looksMin = 3;

export class LagAlarm {
  readonly objectiveSeconds: number;
  readonly #options: AlarmOptions;
  #breached = false;
  #withinAtMs: number;
  #knownAtMs: number;
  #looksOver = 0;
  #calmSinceMs: number | undefined;

  constructor(options: AlarmOptions, nowMs: number) {
    this.objectiveSeconds = options.objectiveSeconds;
    this.#options = options;
    this.#withinAtMs = nowMs;
    this.#knownAtMs = nowMs;
  }

  get breached(): boolean {
    return this.#breached;
  }

  /** Said already: by another process, or by this one before it was started anew. */
  adopt(): void {
    this.#breached = true;
    this.#calmSinceMs = undefined;
  }

  /** To be called about every second. `nowMs`: of a clock that nobody sets, here as in the constructor. */
  observe(seconds: number | undefined, nowMs: number): AlarmEvent | undefined {
    if (seconds !== undefined) this.#knownAtMs = nowMs;
    else if (nowMs - this.#knownAtMs < (this.#options.unknownAfterMs ?? 60_000)) return undefined;
    if (seconds !== undefined && seconds <= this.objectiveSeconds) {
      this.#withinAtMs = nowMs;
      this.#looksOver = 0;
    } else this.#looksOver += 1;
    const over = this.#looksOver >= looksMin && nowMs - this.#withinAtMs >= (this.#options.breachAfterMs ?? 5000);
    if (!this.#breached) {
      if (!over) return undefined;
      this.#breached = true;
      this.#calmSinceMs = undefined;
      return 'breached';
    }
    if (over) this.#calmSinceMs = undefined;
    // A blip over the objective does not end the calm, but no recovery is told in the middle of one.
    if (over || this.#looksOver > 0) return undefined;
    this.#calmSinceMs ??= nowMs;
    if (nowMs - this.#calmSinceMs < (this.#options.recoverAfterMs ?? 10_000)) return undefined;
    this.#breached = false;
    this.#calmSinceMs = undefined;
    return 'recovered';
  }
}
