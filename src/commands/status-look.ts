/** How `status` looks at the log: once for all services that can share a look, and not again where it does not answer. */
import type { Log } from '../core/log-port.ts';
import type { LogState } from '../core/log-state.ts';
import { type ErrorFields, errorFields } from '../runtime/observe.ts';
import { type Asked, closeLater, inTime } from './status-patience.ts';

export type Trouble = Pick<ErrorFields, 'code' | 'message' | 'remedy'>;
export type Unreachable = { readonly error: Trouble };
export type LogLook = { readonly log: Log; readonly state: LogState } | Unreachable;

const logAsked: Asked = { what: 'the log', code: 'LOG_UNREACHABLE' };
export const askLog = <T>(work: () => Promise<T>) => inTime(logAsked, work);

/**
 * A look at a Kafka log asks for every group: one for each service would be a square of questions. Whoever asks gets a
 * look that began after they asked, and those who ask while one is under way share the next.
 */
export class LogLooks implements Disposable {
  readonly #log: Promise<Log | Unreachable>;
  #latest: Promise<LogLook | undefined> = Promise.resolve(undefined);
  #next: Promise<LogLook> | undefined;

  constructor(open: () => Promise<Log>) {
    this.#log = askLog(open).catch((thrown: unknown) => ({ error: troubleOf(thrown) }));
  }

  look(): Promise<LogLook> {
    if (this.#next) return this.#next;
    const next = this.#latest.then((before) => {
      this.#next = undefined;
      return before && 'error' in before ? before : this.#look();
    });
    this.#next = next;
    this.#latest = next;
    return next;
  }

  /** The last look that somebody asked for; the first, where nobody did. */
  async latest(): Promise<LogLook> {
    return (await this.#latest) ?? this.look();
  }

  async #look(): Promise<LogLook> {
    const log = await this.#log;
    if ('error' in log) return log;
    try {
      return { log, state: await askLog(() => log.state()) };
    } catch (thrown) {
      return { error: troubleOf(thrown) };
    }
  }

  /** Waits for nothing. */
  [Symbol.dispose](): void {
    void this.#log.then((log) => ('error' in log ? undefined : closeLater(log)));
  }
}

export function troubleOf(thrown: unknown): Trouble {
  const { code, message, remedy } = errorFields(thrown);
  return { code, message, ...(remedy === undefined ? {} : { remedy }) };
}
