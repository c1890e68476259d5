/** Leaves in the log why a part does not run, so that `crossfade status` can still tell when the process is long gone. */
import type { CrossfadeError, ErrorCode } from '../core/errors.ts';
import type { PartTrouble } from '../core/log-state.ts';
import type { Log } from '../core/log-port.ts';
import type { Logger } from '../core/ports.ts';
import type { LoopState } from './loop.ts';

export interface TroubleParts {
  readonly part: string;
  readonly logger: Logger;
  readonly openLog: () => Promise<Log>;
  readonly now?: () => number;
  /** A part that ran for so long is out of trouble; 2000. Less, and one that fails at each first write would look well in between. */
  readonly wellAfterMs?: number;
  /** How long the end of a part waits for its last note; 2000. */
  readonly settleMs?: number;
}

/** What a standby meets while another leads: no trouble of the part, and nobody would ever clear it. */
const ofStandby: ReadonlySet<ErrorCode> = new Set(['LOG_FENCED', 'LOG_HELD']);

/** Advisory: what cannot be written is lost, and nothing here ever throws or holds up the loop. */
export class TroubleNote {
  readonly #parts: TroubleParts;
  readonly #now: () => number;
  #writing: Promise<void> = Promise.resolve();
  /** What the log says as far as we know: a repetition of it is not written, so that `sinceMs` is that of the first. */
  #noted: string | undefined;
  #well: NodeJS.Timeout | undefined;

  constructor(parts: TroubleParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  /** To be called at every change of the loop's state. */
  told(state: LoopState, error?: CrossfadeError): void {
    const wasWell = this.#well !== undefined;
    if (state !== 'starting') {
      clearTimeout(this.#well);
      this.#well = undefined;
    }
    if (state === 'running') {
      this.#well = setTimeout(() => this.#clear(), this.#parts.wellAfterMs ?? 2000);
      this.#well.unref();
    } else if (state === 'stopped' && wasWell) this.#clear();
    else if (error && !ofStandby.has(error.code)) this.#note(error);
  }

  /** The last note is written, or will not be any more. */
  async settled(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#parts.settleMs ?? 2000)));
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  #note({ code, fault, message }: CrossfadeError): void {
    const text = `${code} ${fault} ${message}`;
    if (this.#noted === text) return;
    this.#noted = text;
    this.#write({ code, fault, message, sinceMs: this.#now() });
  }

  #clear(): void {
    this.#well = undefined;
    this.#noted = undefined;
    this.#write(undefined);
  }

  #write(trouble: PartTrouble | undefined): void {
    const { part, logger, openLog } = this.#parts;
    this.#writing = this.#writing.then(async () => {
      try {
        await using log = await openLog();
        await log.trouble(part, trouble);
      } catch (thrown) {
        // The next time is another try; the loop says aloud what is wrong with the log.
        this.#noted = undefined;
        logger.debug({ part, err: thrown }, 'the trouble could not be noted in the log');
      }
    });
  }
}
