/** Every server behind a proxy: away for a while, unreachable without a word, and somewhere else afterwards. */
import { setTimeout as outage } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Server } from '../../stack/server.ts';
import { awaySeconds, logKinds, seed } from './rig/knobs.ts';
import { brokenRules } from './rig/log-view.ts';
import { portOf, startedElsewhere } from './rig/move.ts';
import { openRig, type Rig } from './rig/rig.ts';
import { until } from './rig/wait.ts';

const servers = ['mysql', 'postgres', 'kafka'] as const;
type Name = (typeof servers)[number];

describe.each(logKinds)(`servers that are away for ${awaySeconds} s, seed ${seed}, log %s`, (log) => {
  let rig: Rig;
  beforeAll(async () => {
    console.info(`chaos: servers away, log ${log}, seed ${seed}`);
    rig = await openRig(seed, { log, behindProxies: true, pauseMs: 20 });
  }, 300_000);
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  const away: Record<string, (server: Server, name: Name) => Promise<void>> = {
    'is stopped, and started again': async (server) => {
      await server.stop();
      await outage(awaySeconds * 1000);
      await server.start();
    },
    'is cut off by the network, which says nothing': async (_, name) => {
      rig.proxies[name]?.freeze();
      await outage(awaySeconds * 1000);
      rig.proxies[name]?.thaw();
    },
    'dies, and is at another port behind its address': async (server, name) => {
      await server.kill('SIGKILL');
      await outage(awaySeconds * 1000);
      const moved = await startedElsewhere(server);
      expect(moved.url).not.toBe(server.url);
      rig.proxies[name]?.pointAt(portOf(moved.url));
    },
  };
  // Last the one that moves: the stack's own hand on the server knows its old port only.
  for (const [what, happens] of Object.entries(away)) {
    for (const name of servers.filter((server) => server !== 'kafka' || log === 'kafka')) {
      it(`G10: ${name} ${what}: no person needed`, { timeout: 600_000 + awaySeconds * 1000 }, async () => {
        await happens(rig.stack.servers[name], name);
        await untilBothMove(rig, `${name} ${what}`);
        // The same processes all along: not even a supervisor was needed.
        expect(rig.ends(), await rig.logs()).toEqual([]);
        expect([rig.capture.starts, rig.books.starts, rig.shelf.starts]).toEqual([1, 1, 1]);
      });
    }
  }

  it('G1 G5: in the end target equals source', { timeout: 400_000 }, async () => {
    await rig.workload.stop();
    const comparison = await rig.settled(300_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(comparison.rows).toBeGreaterThan(100);
    expect(brokenRules(await rig.log.records()).slice(0, 10)).toEqual([]);
  });
});

/** Until what was committed after this moment is visible in both targets. */
async function untilBothMove(rig: Rig, what: string): Promise<void> {
  const progress = () => Promise.all([rig.log.captured(), rig.applied.books(), rig.applied.shelf()]);
  let before: readonly number[] | undefined;
  await until(
    async () => {
      const now = await progress();
      before ??= now;
      return now.every((value, index) => value > (before?.[index] ?? 0));
    },
    180_000,
    async () => `${what}: it works again\n${await rig.logs()}`,
  );
}
