import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logKinds, seed } from './rig/knobs.ts';
import { type Rig, openRig } from './rig/rig.ts';
import { until } from './rig/wait.ts';

describe.each(logKinds)(`frozen processes, seed ${seed}, log %s`, (log) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig(seed, { log });
  }, 300_000);
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  it('G3: a frozen apply whose place was taken cannot write when it wakes', { timeout: 1_200_000 }, async () => {
    const written = async () => [...(await owners(rig)).values()].filter(({ offset }) => offset > 0n).length;
    await until(
      async () => (await written()) >= 2,
      240_000,
      () => rig.logs(),
    );
    // Frozen in the worst place: everything is decided, and the transaction is about to be sent.
    expect(await rig.faults('books').order('sink:before-commit', 'SIGSTOP', 120_000)).toBe(true);
    rig.start('second-books', 'run', 'apply', '--service', 'books');
    // A table that nobody writes to has no offset to move.
    const before = [...(await owners(rig))].filter(([, { offset }]) => offset > 0n);
    await until(
      async () => {
        const now = await owners(rig);
        return before.every(
          ([partition, owner]) => (now.get(partition)?.epoch ?? 0n) > owner.epoch && (now.get(partition)?.offset ?? 0n) > owner.offset,
        );
      },
      240_000,
      () => rig.logs(),
    );
    const taken = await owners(rig);
    rig.books.kill('SIGCONT');
    await until(
      async () => /FENCED|expired|rejoin/i.test(await readFile(join(rig.folder, 'books.log'), 'utf8')),
      240_000,
      () => rig.logs(),
    );
    // Whoever owns a partition now claimed it anew: the sleeper's own epoch never wrote again.
    for (const [partition, owner] of await owners(rig))
      expect(owner.epoch, partition).toBeGreaterThanOrEqual(taken.get(partition)?.epoch ?? 0n);
    await rig.workload.stop();
    const comparison = await rig.settled(240_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(rig.ends()).toEqual([]);
  });
});

async function owners({ addresses }: Rig): Promise<Map<string, { epoch: bigint; offset: bigint }>> {
  const client = new pg.Client({ connectionString: addresses.postgres });
  await client.connect();
  try {
    const { rows } = await client.query<{ partition: string; owner_epoch: string; next_offset: string | null }>(
      `SELECT partition, owner_epoch, next_offset FROM crossfade.progress WHERE service = 'books'`,
    );
    return new Map(rows.map((row) => [row.partition, { epoch: BigInt(row.owner_epoch), offset: BigInt(row.next_offset ?? 0) }]));
  } finally {
    await client.end();
  }
}
