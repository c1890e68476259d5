/** Takes one finished line for a person to read. */
export type Log = (line: string) => void;

/** Runs `work` and says at least every four seconds that it is still going on, and for how long: never a silent wait. */
export async function withProgress<T>(log: Log, what: () => string, work: () => Promise<T>): Promise<T> {
  const startedMs = Date.now();
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(0);
  const ticker = setInterval(() => log(`${what()} … ${seconds()} s`), 4000);
  try {
    return await work();
  } finally {
    clearInterval(ticker);
  }
}
