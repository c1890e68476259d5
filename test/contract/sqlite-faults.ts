/** Fault points of the thread that appends: a diagnostics channel ends at its thread, so what passes is told through shared memory. */
import { setEnvironmentData } from 'node:worker_threads';
import { type FaultPoint, faultPoints } from '../../src/core/fault-point.ts';

export interface FaultOrder {
  readonly point: FaultPoint;
  /** From 1. */
  readonly passing: number;
  /** `hold`: until `release`. `throw`: what nobody catches. */
  readonly does: 'kill' | 'hold' | 'throw';
}

/** What a thread that is started from here on finds. */
export interface FaultState {
  readonly cells: Int32Array<SharedArrayBuffer>;
  readonly orders: readonly FaultOrder[];
}

export const faultKey = 'crossfade-test-faults';
const mostPassings = 4000;
/** One that is not zero lets go of who is held. */
export const releaseAt = 0;
/** The number of passings; behind it each has the number of its point. */
export const countAt = 1;

export class Faults implements Disposable {
  readonly #cells = new Int32Array(new SharedArrayBuffer(4 * (mostPassings + 2)));

  constructor(orders: readonly FaultOrder[] = []) {
    setEnvironmentData(faultKey, { cells: this.#cells, orders } satisfies FaultState);
  }

  /** In their order. */
  get passed(): FaultPoint[] {
    const count = Atomics.load(this.#cells, countAt);
    return [...this.#cells.subarray(countAt + 1, countAt + 1 + count)].map((point) => faultPoints[point] as FaultPoint);
  }

  release(): void {
    Atomics.store(this.#cells, releaseAt, 1);
    Atomics.notify(this.#cells, releaseAt);
  }

  [Symbol.dispose](): void {
    this.release();
    setEnvironmentData(faultKey, undefined);
  }
}
