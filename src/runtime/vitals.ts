/** How a thread of ours fares: each measures itself, since no other can. */

export interface Vitals {
  /** Time that its event loop was at work and not waiting, since it began. */
  readonly busySeconds: number;
  readonly heapBytes: number;
  /** Buffers, outside of the heap. */
  readonly externalBytes: number;
}

/** Of the thread that calls. */
export function vitals(): Vitals {
  const { heapUsed, external } = process.memoryUsage();
  return { busySeconds: performance.eventLoopUtilization().active / 1000, heapBytes: heapUsed, externalBytes: external };
}
