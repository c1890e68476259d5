import { frame, plainLine, type View } from './screen.ts';

/** Draws in place on a terminal, one line a second through a pipe. Lines said in between stay above the picture. */
export class Terminal {
  readonly #out: NodeJS.WriteStream;
  readonly #isLive: boolean;
  readonly #isColoured: boolean;
  #drawnLines = 0;
  #lastPlainMs = -Infinity;
  #last: readonly string[] = [];

  constructor(out: NodeJS.WriteStream, isPlain: boolean) {
    this.#out = out;
    this.#isLive = out.isTTY && !isPlain && process.env['TERM'] !== 'dumb';
    this.#isColoured = this.#isLive && !process.env['NO_COLOR'];
    // Lines of the old width wrap in the new one and cannot be counted any more: begin on a clean screen.
    if (this.#isLive) out.on('resize', () => this.#clear());
  }

  get isLive(): boolean {
    return this.#isLive;
  }

  draw(view: View): void {
    if (!this.#isLive) {
      if (performance.now() - this.#lastPlainMs < 995) return;
      this.#lastPlainMs = performance.now();
      this.#out.write(`${plainLine(view)}\n`);
      return;
    }
    const { columns, rows } = this.#out;
    const lines = frame(view, { columns: columns || 80, rows: rows || 24, isColoured: this.#isColoured });
    this.#last = lines;
    this.#out.write(`\x1b[?2026h${this.#up()}${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J\x1b[?2026l`);
    this.#drawnLines = lines.length;
  }

  /** A line that stays. */
  say(text: string): void {
    this.#out.write(this.#isLive ? `${this.#up()}\x1b[J${text}\n` : `${text}\n`);
    this.#drawnLines = 0;
  }

  /** Leaves the last picture where it is; what is said next comes below it. */
  leave(): void {
    this.#drawnLines = 0;
  }

  /** The last frame as it was drawn, for a picture of it. */
  get lastFrame(): readonly string[] {
    return this.#last;
  }

  #up(): string {
    return this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\r` : '';
  }

  #clear(): void {
    this.#out.write('\x1b[2J\x1b[H');
    this.#drawnLines = 0;
  }
}
