/** Three workers of one service on twelve partitions join, leave, freeze and die while rows come. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ownersInPostgres } from './rig/applied.ts';
import { auditProgress, auditedMoves, zombieMoves } from './rig/audit.ts';
import { churnSeconds, logKinds, seed } from './rig/knobs.ts';
import { brokenRules } from './rig/log-view.ts';
import type { Daemon } from './rig/process.ts';
import { seededRandom } from './rig/random.ts';
import { openRig, type Rig } from './rig/rig.ts';
import { pause, until } from './rig/wait.ts';

const partitions = 12;
const kinds = ['dies', 'freezes', 'leaves', 'freezes before a commit', 'is one of four'] as const;

describe.each(logKinds)(`workers that come and go for ${churnSeconds} s, seed ${seed}, log %s`, (log) => {
  it('G1 G3 G5: target equals source, and no zombie ever commits', { timeout: 900_000 + 3 * churnSeconds * 1000 }, async () => {
    console.info(`chaos: workers, log ${log}, seed ${seed}`);
    await using rig = await openRig(seed, { log, partitions, pauseMs: 10 });
    const random = seededRandom(seed);
    const workers = new Workers(rig);
    for (const name of ['books', 'books-2', 'books-3']) await untilSaid(rig, name, /partitions claimed/);
    await untilAllMove(rig, 'three workers share twelve partitions');
    await untilAtRest(rig);
    await auditProgress(rig.addresses.postgres);
    const counts = new Map<string, number>();
    const endMs = Date.now() + churnSeconds * 1000;
    for (let round = 0; round < kinds.length || Date.now() < endMs; round += 1) {
      // Each kind once, then as chance has it.
      const kind = kinds[round] ?? random.pick(kinds);
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      await workers.suffer(kind, random.below(3));
      await pause(random.below(1000));
    }
    await untilAllMove(rig, 'everything moves in the end');
    await untilAtRest(rig);
    await rig.workload.stop();
    const comparison = await rig.settled(300_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(rig.ends(), await rig.logs()).toEqual([]);
    const moves = await auditedMoves(rig.addresses.postgres);
    expect(zombieMoves(moves).slice(0, 10)).toEqual([]);
    const owners = new Set(moves.map(({ partition, epoch }) => `${partition} ${epoch}`)).size;
    // Who dies, freezes or leaves gives its share to others, and some of it comes back.
    expect(owners).toBeGreaterThan(2 * partitions);
    expect(brokenRules(await rig.log.records()).slice(0, 10)).toEqual([]);
    const told = [...counts].map(([kind, count]) => `${count} × ${kind}`).join(', ');
    console.info(`chaos: ${told}; ${moves.length} commits of ${owners} owners, ${comparison.rows} rows equal`);
  });
});

class Workers {
  readonly #rig: Rig;
  readonly #slots: { name: string; daemon: Daemon }[];

  constructor(rig: Rig) {
    this.#rig = rig;
    this.#slots = [{ name: 'books', daemon: rig.books }, this.#join('books-2'), this.#join('books-3')];
  }

  /** Does it to one of them; resolves when every partition moves again. */
  async suffer(kind: (typeof kinds)[number], which: number): Promise<void> {
    const slot = this.#slots[which];
    if (slot === undefined) throw new Error('there are three workers');
    const { name, daemon } = slot;
    if (kind === 'dies') daemon.kill('SIGKILL');
    else if (kind === 'leaves') {
      await daemon.stop();
      await untilAllMove(this.#rig, `${name} left`);
      this.#slots[which] = this.#join(name);
    } else if (kind === 'is one of four') {
      const fourth = this.#join('books-4');
      await untilSaid(this.#rig, 'books-4', /partitions claimed/);
      await untilAllMove(this.#rig, 'a fourth worker joined');
      await fourth.daemon.stop();
    } else {
      if (kind === 'freezes') daemon.kill('SIGSTOP');
      // It may have no share at this moment, and then nothing to commit.
      else if (!(await this.#rig.faults(name).order('sink:before-commit', 'SIGSTOP', 10_000))) daemon.kill('SIGSTOP');
      // All twelve: so others have what it had.
      await untilAllMove(this.#rig, `${name} ${kind}`);
      daemon.kill('SIGCONT');
    }
    await untilAllMove(this.#rig, `after ${name} ${kind}`);
  }

  #join(name: string): { name: string; daemon: Daemon } {
    return { name, daemon: this.#rig.start(name, 'run', 'apply', '--service', 'books') };
  }
}

async function untilSaid(rig: Rig, name: string, text: RegExp): Promise<void> {
  await until(
    async () => text.test(await readFile(join(rig.folder, `${name}.log`), 'utf8')),
    120_000,
    () => rig.logs(),
  );
}

/** Until each of the ledger's partitions got further in the target than it is now. */
async function untilAllMove(rig: Rig, what: string): Promise<void> {
  let before: ReadonlyMap<string, number> | undefined;
  await until(
    async () => {
      const now = await rig.ledger();
      if (now.size < partitions) return false;
      before ??= now;
      for (const [partition, offset] of now) if (offset <= (before.get(partition) ?? 0)) return false;
      return true;
    },
    240_000,
    async () => `${what}: every partition moves\n${await rig.logs()}`,
  );
}

const restMs = 3000;

/** Until nobody takes a partition from anybody any more, while rows come: workers must not fence each other for ever. */
async function untilAtRest(rig: Rig): Promise<void> {
  const owners = async () => JSON.stringify([...(await ownersInPostgres(rig.addresses.postgres, 'books'))]);
  let last = '';
  let sinceMs = Date.now();
  await until(
    async () => {
      const now = await owners();
      if (now !== last) sinceMs = Date.now();
      last = now;
      return Date.now() - sinceMs > restMs;
    },
    120_000,
    async () => `the workers come to rest\n${await rig.logs()}`,
  );
}
