import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditedMoves, auditProgress, zombieMoves } from './rig/audit.ts';
import { logKinds, seed } from './rig/knobs.ts';
import { type Rig, openRig } from './rig/rig.ts';
import { pause, until } from './rig/wait.ts';

describe.each(logKinds)(`frozen processes, seed ${seed}, log %s`, (log) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig(seed, { log });
    const written = async () => [...(await owners(rig)).values()].filter(({ offset }) => offset > 0n).length;
    await until(
      async () => (await written()) >= 2,
      240_000,
      () => rig.logs(),
    );
    await auditProgress(rig.addresses.postgres);
  }, 600_000);
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  it('G3: while its successor has not written yet, the epoch alone keeps a frozen apply out', { timeout: 1_200_000 }, async () => {
    await freezeBeforeSending(rig);
    // Before that, a successor in the embedded log would get a fair share only, and perhaps not what the sleeper has in hand.
    await pause(silentForGoodMs);
    const before = await owners(rig);
    // The successor stops at the same place, with everything claimed and nothing moved: the offsets tell nobody apart.
    const stopped = rig.faults('second-books').order('sink:before-commit', 'SIGSTOP', 240_000);
    const second = rig.start('second-books', 'run', 'apply', '--service', 'books');
    expect(await stopped, await rig.logs()).toBe(true);
    const claimed = await owners(rig);
    for (const [partition, owner] of before) {
      expect(claimed.get(partition)?.epoch, partition).toBeGreaterThan(owner.epoch);
      expect(claimed.get(partition)?.offset, partition).toBe(owner.offset);
    }
    const said = (await linesOf(rig, 'books')).length;
    rig.books.kill('SIGCONT');
    const refused = async () => (await linesOf(rig, 'books')).slice(said).some((line) => line.includes('TARGET_FENCED'));
    const zombies = async () => zombieMoves(await auditedMoves(rig.addresses.postgres)).slice(0, 10);
    const isDecided = async () => (await refused()) || (await zombies()).length > 0;
    await until(isDecided, 240_000, async () => `the sleeper is fenced, or writes\n${await rig.logs()}`);
    expect(await zombies()).toEqual([]);
    second.kill('SIGCONT');
    await untilAllMove(rig, 'both are awake');
    await second.stop();
  });

  it('G3: a frozen apply whose place was taken cannot write when it wakes', { timeout: 1_200_000 }, async () => {
    // Frozen in the worst place: everything is decided, and the transaction is about to be sent.
    expect(await rig.faults('books').order('sink:before-commit', 'SIGSTOP', 120_000)).toBe(true);
    rig.start('third-books', 'run', 'apply', '--service', 'books');
    await untilAllMove(rig, 'another has its place');
    const said = (await linesOf(rig, 'books')).length;
    rig.books.kill('SIGCONT');
    // It has noticed: by the fence, by its connection that was ended, or by its group, whichever tells it first.
    const noticed = async () =>
      (await linesOf(rig, 'books')).slice(said).some((line) => /TARGET_FENCED|TARGET_UNREACHABLE|expired|rejoin/i.test(line));
    await until(noticed, 240_000, async () => `the sleeper notices\n${await rig.logs()}`);
  });

  it('G1 G3: nothing that moved in all that was moved by a zombie, and target equals source', { timeout: 600_000 }, async () => {
    await rig.workload.stop();
    const comparison = await rig.settled(240_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    const moves = await auditedMoves(rig.addresses.postgres);
    expect(new Set(moves.map(({ mover }) => mover)).size).toBeGreaterThan(2);
    expect(zombieMoves(moves).slice(0, 10)).toEqual([]);
    expect(rig.ends()).toEqual([]);
  });
});

/** Both logs take partitions from a member that was silent for 10 s. */
const silentForGoodMs = 13_000;

/** With a transaction of which the server knows nothing yet: one that it holds open would be ended by the successor's claim. */
async function freezeBeforeSending(rig: Rig): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    expect(await rig.faults('books').order('sink:before-commit', 'SIGSTOP', 120_000)).toBe(true);
    const open = await ask<{ pid: number }>(
      rig,
      `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'crossfade %/books' AND xact_start IS NOT NULL`,
    );
    if (open.length === 0) return;
    rig.books.kill('SIGCONT');
  }
  throw new Error('every transaction that it froze in was open in the server already');
}

/** Until everything is further than it is now. A table that nobody writes to has no offset to move. */
async function untilAllMove(rig: Rig, what: string): Promise<void> {
  const before = [...(await owners(rig))].filter(([, { offset }]) => offset > 0n);
  await until(
    async () => {
      const now = await owners(rig);
      return before.every(([partition, owner]) => (now.get(partition)?.offset ?? 0n) > owner.offset);
    },
    240_000,
    async () => `${what}: every partition moves\n${await rig.logs()}`,
  );
}

async function linesOf(rig: Rig, name: string): Promise<string[]> {
  return (await readFile(join(rig.folder, `${name}.log`), 'utf8')).split('\n').slice(0, -1);
}

async function owners(rig: Rig): Promise<Map<string, { epoch: bigint; offset: bigint }>> {
  const rows = await ask<{ partition: string; owner_epoch: string; next_offset: string | null }>(
    rig,
    `SELECT partition, owner_epoch, next_offset FROM crossfade.progress WHERE service = 'books'`,
  );
  return new Map(rows.map((row) => [row.partition, { epoch: BigInt(row.owner_epoch), offset: BigInt(row.next_offset ?? 0) }]));
}

async function ask<Row extends pg.QueryResultRow>({ addresses }: Rig, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: addresses.postgres });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
