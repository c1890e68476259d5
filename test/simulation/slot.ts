import { asCrossfadeError, type CrossfadeError } from '../../src/core/errors.ts';
import { runLoop, type Run } from '../../src/runtime/loop.ts';
import { type FaultRates, SimulatedProcess } from '../support/faults.ts';
import type { World } from './world.ts';

export type Session = (process: SimulatedProcess) => (run: Run) => Promise<void>;

/** A place where a process runs; when it ends, another takes its place. */
export class Slot {
  readonly name: string;
  readonly #world: World;
  readonly #session: Session;
  readonly #rates: () => FaultRates;
  #count = 0;
  #stop = new AbortController();
  readonly past: SimulatedProcess[] = [];
  current: SimulatedProcess;
  /** Why it stopped for ever. */
  failure: CrossfadeError | undefined;

  constructor(name: string, world: World, session: Session, rates: () => FaultRates) {
    this.name = name;
    this.#world = world;
    this.#session = session;
    this.#rates = rates;
    this.current = this.#spawn();
  }

  #spawn(): SimulatedProcess {
    this.#count += 1;
    const world = this.#world;
    const process = new SimulatedProcess(`${this.name}.${this.#count}`, world.clock, world.random.fork(), this.#rates());
    const stop = (this.#stop = new AbortController());
    const jitter = world.random.fork();
    const { sleep } = process;
    const options = {
      name: process.name,
      signal: stop.signal,
      logger: quiet(world, process),
      sleep,
      random: () => jitter.next(),
      now: world.clock.now,
    };
    this.past.push(process);
    // Node keeps combined signals alive until they abort: without this the dead of all histories would pile up.
    world.atEnd.push(() => stop.abort(new Error('the history is over')));
    void runLoop(this.#session(process), options).then(
      () => {
        // A stop by signal: the process has ended in good order, and its successor starts.
        process.kill();
      },
      (thrown: unknown) => {
        this.failure = asCrossfadeError(thrown);
        const { code, message, cause } = this.failure;
        const stack = cause instanceof Error ? (cause.stack ?? '') : (this.failure.stack ?? '');
        if (!world.mayFail.has(code)) world.violate(`${process.name} stopped for ever: ${code} ${message} ${stack}`);
      },
    );
    return process;
  }

  /** A new process in this place; the old one is left as it is, which may be frozen. */
  replace(): void {
    this.current = this.#spawn();
  }
  stop(): void {
    this.#stop.abort(new Error('stop'));
  }
}

const none = () => {};

function quiet(world: World, process: SimulatedProcess) {
  const warn = (fields: object) => {
    const { err } = fields as { err?: unknown };
    world.note(`${process.name} ${err === undefined ? '' : asCrossfadeError(err).code} ${err instanceof Error ? err.message : ''}`);
  };
  return { debug: none, info: none, warn, error: warn };
}
