/** What the target's own processes use of the CPU while something is done to it: a rate depends on who else is at work, this hardly does. */
import { Client } from 'pg';

import { cpuUsOf } from './process-meter.ts';

export interface Metered<T> {
  readonly answer: T;
  /** Of all backends of that name; zero where the server is not on this machine, or not on Linux. */
  readonly cpuUs: number;
}

const lookEveryMs = 10;
const askEveryMs = 100;

/** `name`: a pattern (LIKE) of application_name. */
export async function meterBackends<T>(url: string, name: string, work: () => Promise<T>): Promise<Metered<T>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const usedUs = new Map<number, number>();
  const look = () => {
    // A backend that is gone says zero: what was seen last counts.
    for (const [pid, us] of usedUs) usedUs.set(pid, Math.max(us, cpuUsOf(pid)));
  };
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted) {
      const { rows } = await client.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1', [name]);
      for (const { pid } of rows) if (!usedUs.has(pid)) usedUs.set(pid, 0);
      await new Promise((resolve) => setTimeout(resolve, askEveryMs));
    }
  })();
  const looking = setInterval(look, lookEveryMs);
  try {
    const answer = await work();
    look();
    return { answer, cpuUs: usedUs.values().reduce((sum, us) => sum + us, 0) };
  } finally {
    clearInterval(looking);
    over.abort();
    await asking.catch(() => undefined);
    await client.end();
  }
}
