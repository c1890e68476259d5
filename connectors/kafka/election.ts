/**
 * One capture leads: the member of a consumer group that has the control topic's only partition. Sharing out is sticky, so who
 * leads keeps it when others come; a clean goodbye hands it over at once, a death when its session has run out.
 */
import { fenced } from '../../src/core/log-errors.ts';
import { Membership, type MembershipParts } from './membership.ts';

export class Election implements AsyncDisposable {
  readonly #membership: Membership;
  readonly #lost = new AbortController();
  #waiting: (() => void) | undefined;
  #won = false;
  /** For messages. */
  #term = 0;

  constructor(parts: Omit<MembershipParts, 'changed'>) {
    this.#membership = new Membership({ ...parts, changed: () => this.#changed() });
  }

  /** Aborts, with LOG_FENCED, when the group has given the place to another. Silence is no loss: the brokers' fence decides then. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Resolves when this member has the place; waits as standby until then. */
  async won(signal: AbortSignal, standby: () => void): Promise<void> {
    let said = false;
    for (;;) {
      signal.throwIfAborted();
      if (this.#membership.failure) throw this.#membership.failure;
      if (this.#leads()) break;
      if (this.#membership.holds && !said) {
        said = true;
        standby();
      }
      await this.#change(signal);
    }
    this.#won = true;
  }

  leads(term: number): void {
    this.#term = term;
  }

  #leads(): boolean {
    return this.#membership.holds && this.#membership.share.length > 0;
  }

  #changed(): void {
    this.#waiting?.();
    if (!this.#won || !this.#membership.over || this.#lost.signal.aborted) return;
    // Who lost it while it led must not stand again by itself: its writer is over.
    void this.#membership[Symbol.asyncDispose]();
    this.#lost.abort(fenced(this.#term, undefined));
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#waiting = undefined;
        resolve();
      };
      this.#waiting = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#membership[Symbol.asyncDispose]();
  }
}
