/** Alerts on their way to a webhook: in order, tried again, bounded, and never in anybody's way. */
import type { Logger } from '../core/ports.ts';
import { runLoop, sleepUnlessAborted } from './loop.ts';
import { postJson, undelivered, whyUnanswered } from './webhook.ts';

/** The body of the request. */
export type Alert = Readonly<Record<string, unknown>> & { readonly event: string };

export interface AlertQueueParts {
  /** Never logged: the path of a webhook is its password. */
  readonly url: string;
  readonly logger: Logger;
  readonly post?: (url: string, body: string, signal: AbortSignal) => Promise<number>;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const waitingMax = 100;
/** An alert that nobody took for so long is history. */
const tooOldMs = 60 * 60_000;
const answerWithinMs = 10_000;

interface Waiting {
  readonly alert: Alert;
  readonly atMs: number;
}

export class AlertQueue {
  readonly #parts: AlertQueueParts;
  readonly #now: () => number;
  readonly #waiting: Waiting[] = [];
  #wake: () => void = () => {};
  #empty: () => void = () => {};
  sent = 0;
  dropped = 0;

  constructor(parts: AlertQueueParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Never waits. A recovery goes out behind its breach, however long that one takes. */
  push(alert: Alert): void {
    if (this.#waiting.length >= waitingMax) this.#drop('too many alerts wait');
    this.#waiting.push({ alert, atMs: this.#now() });
    this.#wake();
  }

  /** Sends until the signal; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { logger, sleep } = this.#parts;
    const session = async (run: { readonly signal: AbortSignal; progressed(): void }) => {
      while (!run.signal.aborted) {
        const first = this.#waiting[0];
        if (!first) {
          this.#empty();
          await this.#woken(run.signal);
          continue;
        }
        if (this.#now() - first.atMs > tooOldMs) {
          this.#drop('an alert could not be delivered for an hour');
          continue;
        }
        await this.#post(first.alert, run.signal);
        if (this.#waiting[0] === first) this.#waiting.shift();
        this.sent += 1;
        run.progressed();
      }
    };
    await runLoop(session, { name: 'alerts', signal, logger, ...(sleep ? { sleep } : {}) });
  }

  /** What waits is sent, or the time is over. */
  async settled(withinMs: number): Promise<void> {
    if (this.#waiting.length === 0) return;
    const over = new AbortController();
    await Promise.race([new Promise<void>((resolve) => (this.#empty = resolve)), sleepUnlessAborted(withinMs, over.signal)]);
    over.abort();
  }

  async #post(alert: Alert, signal: AbortSignal): Promise<void> {
    const post = this.#parts.post ?? postJson;
    let status: number;
    try {
      status = await post(this.#parts.url, JSON.stringify(alert), AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]));
    } catch (thrown) {
      throw undelivered(whyUnanswered(thrown));
    }
    if (status < 200 || status > 299) throw undelivered(`it answered ${status}`);
  }

  #drop(why: string): void {
    const lost = this.#waiting.shift();
    this.dropped += 1;
    this.#parts.logger.error({ event: lost?.alert.event, service: lost?.alert['service'] }, `alert dropped: ${why}`);
  }

  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (signal.aborted || this.#waiting.length > 0) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}
