/** A broker that is restarted, killed and out of disk under our producer: what was acknowledged is there once and in order. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Server } from '../../stack/server.ts';
import type { Stack } from '../../stack/stack.ts';
import { privateStack } from '../support/servers.ts';
import { makeTopic, openTestProducer, writeAcross } from './kafka-topic.ts';
import { range, rows, until } from './log-rows.ts';

describe('a broker that ends in the middle', () => {
  let stack: Stack<'kafka'>;
  beforeAll(async () => {
    stack = await privateStack({ servers: ['kafka'] });
  }, 180_000);
  afterAll(() => stack[Symbol.asyncDispose]());

  test.each([1, 5])(
    'restart, kill, restart, kill with %i outstanding',
    async (outstanding) => {
      const broker = stack.servers.kafka;
      await using topic = await makeTopic(broker.url, 1);
      const [partition = ''] = topic.partitions;
      let acknowledged = 0;
      let over = false;
      const done = (count: number) => ((acknowledged = count), over);
      const writing = writeAcross(broker.url, topic, { outstanding, done, timing: { giveUp: 240_000 } });
      for (const how of ['SIGTERM', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
        const before = acknowledged;
        await until('rows are acknowledged', () => acknowledged > before + 500, 60_000);
        await broker.kill(how);
        await startAgain(broker);
      }
      const before = acknowledged;
      await until('rows are acknowledged again', () => acknowledged > before + 500, 60_000);
      over = true;
      const { rows: written, endings } = await writing;
      console.log(`${outstanding} outstanding: ${written} rows, begun again for ${endings.join(', ') || 'nothing'}`);
      expect(await topic.read(partition)).toEqual(range(0, written));
    },
    600_000,
  );
});

describe.skipIf(!mayMount())('a full disk', () => {
  let folder: string;
  let stack: Stack<'kafka'>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'crossfade-small-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', folder]);
    // Two folders: with one alone the broker ends as soon as it cannot write.
    stack = await privateStack({ servers: ['kafka'], extraArgs: { kafka: [`log.dirs=${join(folder, 'log')}`] } });
  }, 180_000);
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    // Lazily: the broker's process may take a moment to let go of it.
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true });
  });

  test('is an error to retry; when there is room again, and the broker runs, everything acknowledged is there and it goes on', async () => {
    const broker = stack.servers.kafka;
    const filler = join(folder, 'filler');
    writeFileSync(filler, Buffer.alloc(40 * 1024 * 1024));
    await using topic = await makeTopic(broker.url, 1, { configEntries: [{ name: 'max.message.bytes', value: '10000000' }] });
    const [partition = ''] = topic.partitions;
    let acknowledged = 0;
    {
      await using writer = await openTestProducer(broker.url, topic, { timing: { giveUp: 3000, answer: 3000 } });
      const refused = await untilRefused(async () => {
        await writer.send(partition, rows(acknowledged, acknowledged + 1, { valueBytes: 2 * 1024 * 1024 }));
        acknowledged += 1;
      });
      expect(refused).toMatchObject({ fault: 'retry', code: expect.stringMatching(/^LOG_(?:FULL|UNREACHABLE)$/) });
    }
    expect(acknowledged).toBeGreaterThan(2);
    rmSync(filler);
    await broker.kill('SIGKILL');
    await startAgain(broker);
    const { rows: written } = await writeAcross(broker.url, topic, { outstanding: 5, done: (count) => count > acknowledged + 100 });
    expect(await topic.read(partition)).toEqual(range(0, written));
  }, 400_000);
});

/** On a machine that is busy with other things a broker may need more than the minute that it is given. */
async function startAgain(broker: Server): Promise<void> {
  for (let left = 3; ; left -= 1) {
    try {
      return await broker.start();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

async function untilRefused(work: () => Promise<void>): Promise<unknown> {
  for (;;) {
    try {
      await work();
    } catch (error) {
      return error;
    }
  }
}

/** Only where this user may make a small file system. */
function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
