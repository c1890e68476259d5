/**
 * A process of the simulation, and the ports as it sees them: before and after every call it can be delayed, frozen or
 * killed, and the call can fail before it was done or after (the reply is lost).
 */
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface FaultRates {
  /** Probabilities per port call. */
  readonly failBefore: number;
  readonly failAfter: number;
  readonly delay: number;
  readonly hang: number;
  readonly kill: number;
}
export const noFaults: FaultRates = { failBefore: 0, failAfter: 0, delay: 0, hang: 0, kill: 0 };

/** What a process is to the outside: it runs, it is frozen (SIGSTOP), or it is dead (SIGKILL). */
export class SimulatedProcess {
  readonly name: string;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  #alive = true;
  #frozen: PromiseWithResolvers<void> | undefined;
  /** What the operating system closes when the process dies. */
  readonly #resources = new Set<() => void>();
  rates: FaultRates;
  /** Calls of ports that were begun. */
  calls = 0;
  faults = 0;
  /** The last call begun. */
  last = '';

  constructor(name: string, clock: VirtualClock, random: Random, rates: FaultRates) {
    this.name = name;
    this.#clock = clock;
    this.#random = random;
    this.rates = rates;
  }

  get alive(): boolean {
    return this.#alive;
  }
  get frozen(): boolean {
    return this.#frozen !== undefined;
  }
  freeze(): void {
    if (this.#alive) this.#frozen ??= Promise.withResolvers<void>();
  }
  wake(): void {
    this.#frozen?.resolve();
    this.#frozen = undefined;
  }
  /** Nothing of it ever runs again; its connections close. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const close of this.#resources) close();
    this.#resources.clear();
  }
  onKill(close: () => void): void {
    this.#resources.add(close);
  }

  /** Every step of the process passes here: the dead never come through, the frozen only when they wake. */
  async checkpoint(): Promise<void> {
    while (this.#alive && this.#frozen) await this.#frozen.promise;
    // A promise of its own: a shared one would hold on to everything that ever waited for it.
    if (!this.#alive) await new Promise<never>(() => {});
  }
  readonly sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    await this.#clock.sleep(ms, signal);
    await this.checkpoint();
  };

  /** One call of a port. `broken`: a connection on which a call failed is no longer used for others. */
  async call<T>(what: string, connection: { broken: boolean }, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.checkpoint();
    this.calls += 1;
    this.last = what;
    if (connection.broken) throw lost(what, 'the connection is broken');
    await this.#disturb(what, connection, this.rates.failBefore, 'failed before it was done', signal);
    try {
      return await work();
    } finally {
      // Whatever came of it: the dead hear nothing of it any more.
      await this.checkpoint();
      await this.#disturb(what, connection, this.rates.failAfter, 'done, but the reply was lost', signal);
    }
  }

  async #disturb(what: string, connection: { broken: boolean }, fail: number, how: string, signal?: AbortSignal): Promise<void> {
    const { delay, hang, kill } = this.rates;
    if (fail + delay + hang + kill === 0) return;
    const draw = this.#random.next();
    if (draw >= fail + delay + hang + kill) return;
    this.faults += 1;
    if (draw < fail) {
      connection.broken = true;
      throw lost(what, how);
    }
    if (draw < fail + delay) await this.#clock.sleep(this.#random.between(1, 2000), signal);
    else if (draw < fail + delay + hang) await this.#clock.sleep(this.#random.between(10_000, 60_000), signal);
    else this.kill();
    await this.checkpoint();
    signal?.throwIfAborted();
  }
}

class InjectedFault extends CrossfadeError {}

function lost(what: string, how: string): InjectedFault {
  return new InjectedFault({ code: 'LOG_UNREACHABLE', fault: 'retry', message: `${what}: ${how}`, remedy: 'None: the simulation did it.' });
}

type Method = (...args: unknown[]) => unknown;

export interface WrapOptions {
  /** What a call answers is wrapped in its turn (`lead` → Writer). */
  readonly answer?: (method: string, value: unknown) => unknown;
  /** Told after the call was done, before its reply can be lost: for invariants that are checked on the way. */
  readonly done?: (method: string, args: readonly unknown[], value: unknown) => void;
  /** Methods whose calls are done one after another, as on one connection. */
  readonly ordered?: readonly string[];
}

/** The port as the process sees it. Getters and synchronous methods pass; every asynchronous call can be disturbed. */
export function disturbed<T extends object>(name: string, target: T, process: SimulatedProcess, options: WrapOptions = {}): T {
  const connection = { broken: false };
  let queue: Promise<unknown> = Promise.resolve();
  return new Proxy(target, {
    get(_, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function') return member;
      const method = (member as Method).bind(target);
      if (property === Symbol.asyncDispose) return () => process.checkpoint().then(() => method());
      if (typeof property === 'symbol' || property === 'describe') return method;
      const what = `${name}.${property}`;
      if (property === 'read' || property === 'readFrom') {
        return (...args: unknown[]) => disturbedStream(what, () => method(...args) as AsyncIterable<unknown>, process, signalOf(args));
      }
      return (...args: unknown[]) => {
        const work = async () => {
          const value = await method(...args);
          options.done?.(property, args, value);
          return options.answer ? options.answer(property, value) : value;
        };
        const run = () => process.call(what, connection, work, signalOf(args));
        if (!options.ordered?.includes(property)) return run();
        const turn = queue.then(run, run);
        queue = turn.catch(() => undefined);
        return turn;
      };
    },
  });
}

function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  return args.find((arg) => arg instanceof AbortSignal);
}

async function* disturbedStream<T>(what: string, open: () => AsyncIterable<T>, process: SimulatedProcess, signal?: AbortSignal) {
  const connection = { broken: false };
  const iterator = open()[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await process.call(what, connection, () => iterator.next(), signal);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A dead process ends nothing itself; its connections close all the same.
    await iterator.return?.();
  }
}
