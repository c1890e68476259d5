/**
 * The ports: everything that the runtime asks of the outside world. Each has a contract suite in test/contract that
 * every connector and the memory fakes in connectors/memory pass.
 *
 * Rules that hold for all of them: a method that takes a `signal` ends soon after it aborts, by returning or by
 * throwing the signal's reason; every error is a CrossfadeError; disposing twice is allowed and never throws for a
 * connection that is already gone.
 */

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** One problem that a check found, with the exact statement or edit that mends it. */
export interface Finding {
  readonly level: 'error' | 'warning';
  readonly code: string;
  /** `source`, `log`, `service orders`, `service orders: shop.orders`. */
  readonly where: string;
  readonly message: string;
  /** SQL or a configuration line, ready to paste; absent where there is no such thing. */
  readonly fix?: string;
}
