/** Progress on standard error, never silent: in place on a terminal, a line every two seconds through a pipe. */
export class Say {
  readonly #out: NodeJS.WriteStream;
  readonly #startedMs = performance.now();
  #toldMs = 0;
  #hasProgress = false;
  /** Said behind every progress: how much there still is. */
  ahead: () => string = () => '';

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  line(text: string): void {
    this.#out.write(`${this.#hasProgress ? '\r\x1b[K' : ''}${this.#clock()} ${text}\n`);
    this.#hasProgress = false;
    this.#toldMs = performance.now();
  }

  /** May be called as often as one likes. */
  progress(text: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < (this.#out.isTTY ? 200 : 2000)) return;
    this.#toldMs = nowMs;
    const ahead = this.ahead();
    const whole = `${this.#clock()} ${ahead === '' ? '' : `${ahead}: `}${text}`;
    if (this.#out.isTTY) this.#out.write(`\r${whole.slice(0, Math.max(20, (this.#out.columns || 80) - 1))}\x1b[K`);
    else this.#out.write(`${whole}\n`);
    this.#hasProgress = this.#out.isTTY;
  }

  /** Says that `what` goes on while nothing else is said. */
  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    const tick = () => this.progress(`${what} … ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
    tick();
    const ticker = setInterval(tick, 250);
    try {
      return await work();
    } finally {
      clearInterval(ticker);
    }
  }

  #clock(): string {
    const seconds = Math.floor((performance.now() - this.#startedMs) / 1000);
    return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}
