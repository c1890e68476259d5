/** For the way from the server to here, and clocks that drift. */
const clockMarginUs = 100_000;

/**
 * A heartbeat says that the server had nothing to send for one period: what was committed before it is here. When it was
 * sent is judged by its arrival; one that is late counts for when it was due, and one that follows another at once (the
 * server sends such when it has skipped what we have) counts for nothing.
 */
export class HeartbeatClock {
  readonly #heartbeatUs: number;
  readonly #offsetUs: number;
  #arrivedMs = performance.now();

  /** `offsetUs`: the server's clock minus ours. */
  constructor(heartbeatUs: number, offsetUs: number) {
    this.#heartbeatUs = heartbeatUs;
    this.#offsetUs = offsetUs;
  }

  /** An event, of whatever type, was dealt with. */
  arrived(): void {
    this.#arrivedMs = performance.now();
  }

  /** The heartbeat at hand: an instant of the server's clock before which nothing more will come; 0 where it says nothing. */
  sentUs(): number {
    const sinceUs = (performance.now() - this.#arrivedMs) * 1000;
    if (sinceUs <= this.#heartbeatUs / 2) return 0;
    return Math.round(Date.now() * 1000 + this.#offsetUs - Math.max(0, sinceUs - this.#heartbeatUs)) - clockMarginUs;
  }
}
