import { setTimeout as sleep } from 'node:timers/promises';

import { call } from '../engine.ts';

const EVERY_MS = 2000;

/** The clock of health checks, and when each container was first seen healthy. */
export interface HealthClock extends AsyncDisposable {
  /** Milliseconds since the epoch, by container name. */
  readonly healthySinceMs: ReadonlyMap<string, number>;
}

/**
 * Runs the health checks of all running containers every two seconds. Docker's daemon has a clock for that; Podman leaves
 * it to systemd, which a bare box does not have. What is run and how it is judged is the engine's own.
 */
export function startHealthClock(socketPath: string): HealthClock {
  const healthySinceMs = new Map<string, number>();
  const stop = new AbortController();
  const tick = async (): Promise<void> => {
    const { body } = await call(socketPath, 'GET', '/v4.0.0/libpod/containers/json', 10_000);
    for (const { Id, Names } of JSON.parse(body) as { Id: string; Names: readonly string[] }[]) {
      // A container without a check answers with an error, and one that ended meanwhile too: neither is healthy.
      const answer = await call(socketPath, 'GET', `/v4.0.0/libpod/containers/${Id}/healthcheck`, 30_000).catch(() => undefined);
      const name = Names[0] ?? Id;
      const isHealthy = answer?.status === 200 && (JSON.parse(answer.body) as { Status?: string }).Status === 'healthy';
      if (isHealthy && !healthySinceMs.has(name)) healthySinceMs.set(name, Date.now());
    }
  };
  const running = (async () => {
    while (!stop.signal.aborted) {
      // A list that does not come now comes in two seconds; whoever waits for health has a deadline of its own.
      await tick().catch(() => undefined);
      await sleep(EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    healthySinceMs,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}
