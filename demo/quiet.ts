import { setInterval as ticks } from 'node:timers/promises';

const quietMs = 4000;

/** Hands `say` to the work and says by itself, after four seconds without a line, that it still goes on. */
export async function neverQuiet<T>(
  say: (text: string) => void,
  what: string,
  work: (say: (text: string) => void) => Promise<T>,
): Promise<T> {
  const startedMs = performance.now();
  let saidMs = startedMs;
  const heard = (text: string) => {
    saidMs = performance.now();
    say(text);
  };
  const over = new AbortController();
  const ticking = tick();
  try {
    return await work(heard);
  } finally {
    over.abort();
    await ticking;
  }

  async function tick(): Promise<void> {
    try {
      for await (const _ of ticks(500, undefined, { signal: over.signal })) {
        if (performance.now() - saidMs >= quietMs) heard(`${what} … ${Math.round((performance.now() - startedMs) / 1000)} s`);
      }
    } catch {
      // Aborted: the work is over.
    }
  }
}
