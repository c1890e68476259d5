/** The same where the log is Kafka: a broker that is frozen is one more thing that may be dead. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/cli.ts';
import { events, grows, type LagRig, openLagRig, streams, well } from './rig/lag.ts';

let rig: LagRig;
beforeAll(async () => {
  rig = await openLagRig(['mysql', 'postgres', 'kafka']);
});
afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
});

describe('G11: lag grows while the log is dead', () => {
  test('a frozen broker, capture and apply in processes of their own', async () => {
    const pipe = await rig.pipeline(`{ kafka: { brokers: ["${rig.stack.urls.kafka}"], replication: 1 } }`);
    const capture = pipe.start('run', 'capture');
    await streams(capture);
    const apply = pipe.start('run', 'apply', '--service', 'orders');
    await pipe.insert();
    await well(pipe, capture, apply);
    // A worker's first join may take longer than the objective: that breach has to be over.
    const told = () => events(pipe);
    await eventually('no breach is open', () => (told().length === 0 || told().at(-1) === 'lag_recovered' ? true : undefined), 60_000);
    const before = told().length;
    await rig.stack.servers.kafka.kill('SIGSTOP');
    try {
      await Promise.all([grows(pipe, capture, 14), grows(pipe, apply, 14)]);
    } finally {
      await rig.stack.servers.kafka.kill('SIGCONT');
    }
    await well(pipe, capture, apply);
    const after = () => told().slice(before);
    await eventually('it is said that it is over', () => (after().at(-1) === 'lag_recovered' ? true : undefined), 60_000);
    // Nobody can note at a dead log that it was said: who applies says it, and the others leave it to them.
    expect(after()).toEqual(['lag_breached', 'lag_recovered']);
  });
});
