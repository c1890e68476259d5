/** A person on call believes the lag: with real servers, it grows all the while that anything is dead, and falls back near 0 afterwards. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/cli.ts';
import { metricOf } from '../support/scrape.ts';
import { events, grows, type LagRig, openLagRig, recovered, serviceStatus, startedApart, streams, toldOf, well } from './rig/lag.ts';

let rig: LagRig;
beforeAll(async () => {
  rig = await openLagRig(['mysql', 'postgres']);
});
afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
});

describe('G11: lag grows while anything is dead', () => {
  test('capture frozen, in a process of its own', async () => {
    const { pipe, capture, apply } = await startedApart(rig);
    capture.child.kill('SIGSTOP');
    await grows(pipe, apply, 12);
    capture.child.kill('SIGCONT');
    await well(pipe, apply);
    await recovered(pipe);
    expect(events(pipe)).toEqual(['lag_breached', 'lag_recovered']);
    expect(pipe.alerts()[0]).toMatchObject({ pipeline: pipe.name, service: 'orders', objective_seconds: 3 });
    expect(String(pipe.alerts()[0]?.['dead'])).toContain('no sign of life');
  });

  test('apply killed: the process that captures tells it, and status says the same', async () => {
    const { pipe, capture, apply } = await startedApart(rig);
    await toldOf(pipe, capture, 1);
    apply.child.kill('SIGKILL');
    await apply.finished;
    await pipe.insert();
    await grows(pipe, capture, 14);
    const [metric, status] = [await pipe.lag(capture), await serviceStatus(pipe, capture)];
    expect(Math.abs((metric ?? 0) - (status?.lagSeconds ?? 99))).toBeLessThan(2);
    expect(status).toMatchObject({ applied: 1, lagChanges: 1 });
    expect(metricOf((await pipe.get(capture, '/metrics')).body, 'crossfade_service_lag_changes', { service: 'orders' })).toBe(1);
    expect(metricOf((await pipe.get(capture, '/metrics')).body, 'crossfade_lag_objective_breached', { service: 'orders' })).toBe(1);
    const again = pipe.start('run', 'apply', '--service', 'orders');
    await well(pipe, capture, again);
    await recovered(pipe);
    expect(events(pipe)).toEqual(['lag_breached', 'lag_recovered']);
  });

  test.each(['postgres', 'mysql'] as const)('%s frozen, with everything in one process', async (name) => {
    const pipe = await rig.pipeline();
    const all = pipe.start('run');
    await streams(all);
    await pipe.insert();
    await well(pipe, all);
    const server = rig.stack.servers[name];
    await server.kill('SIGSTOP');
    try {
      if (name === 'postgres') await pipe.insert();
      await grows(pipe, all, 14);
      expect((await pipe.get(all, '/livez')).status).toBe(200);
    } finally {
      await server.kill('SIGCONT');
    }
    await well(pipe, all);
    await recovered(pipe);
    expect(events(pipe)).toEqual(['lag_breached', 'lag_recovered']);
  });

  test('before anything is known it is absent, and said to be unknown; after a restart with the target away it is what the log knows', async () => {
    const { pipe, capture, apply: first } = await startedApart(rig);
    first.child.kill('SIGKILL');
    await first.finished;
    await rig.stack.servers.postgres.kill('SIGSTOP');
    try {
      await pipe.insert();
      const second = pipe.start('run', 'apply', '--service', 'orders');
      await eventually('lag is known', async () => ((await pipe.lag(second)) === undefined ? undefined : true));
      expect((await pipe.get(second, '/readyz')).status).toBe(503);
      await grows(pipe, second, 8);
      await rig.stack.servers.postgres.kill('SIGCONT');
      await well(pipe, capture, second);
    } finally {
      await rig.stack.servers.postgres.kill('SIGCONT');
    }
  });
});

test('G10: a process that ends for good tells the webhook why, once', async () => {
  const pipe = await rig.pipeline();
  const all = pipe.start('run');
  await streams(all);
  await pipe.insert();
  await well(pipe, all);
  const client = new pg.Client({ connectionString: rig.stack.urls.postgres });
  await client.connect();
  await client.query(`DROP TABLE ${pipe.name}`);
  await client.end();
  await pipe.insert();
  expect((await all.finished).code).toBe(4);
  expect(pipe.alerts().filter(({ event }) => event === 'stopped')).toEqual([
    expect.objectContaining({ pipeline: pipe.name, code: 'TARGET_TABLE_MISSING', remedy: expect.any(String) as string }),
  ]);
});
