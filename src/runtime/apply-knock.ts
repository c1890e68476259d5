/** While nothing comes from the log, what waits in a session is asked again: others may have made it possible. */

/** How often a partition that waits at a barrier asks whether it may go on, and held changes are tried. */
export const knockEveryMs = 100;

export interface Knocked {
  /** Something waits. */
  readonly waits: boolean;
  knock(): Promise<void>;
  /** Resolves when something waits that did not before; only the last promise asked for does. */
  woken(): Promise<void>;
}

/** Until the next delivery came, or failed; its failure is met by whoever awaits it. */
export async function knockUntil(
  next: Promise<unknown>,
  session: Knocked,
  sleep: (ms: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const came = new AbortController();
  const stop = () => came.abort(delivered);
  const settled = next.then(stop, stop);
  // A claim happens while a delivery is waited for, and what it takes over may be held.
  if (!session.waits) await Promise.race([settled, session.woken()]);
  while (!came.signal.aborted && session.waits) {
    await sleep(knockEveryMs, came.signal);
    if (!came.signal.aborted) await session.knock();
  }
}

/** Made once: an abort without a reason makes an error with its stack each time. */
const delivered = new Error('a delivery came');
