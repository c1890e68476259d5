/** Two `run capture`: one works, the other waits for its place. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kills, logKinds, seed } from './rig/knobs.ts';
import { brokenRules } from './rig/log-view.ts';
import type { Daemon } from './rig/process.ts';
import { seededRandom } from './rig/random.ts';
import { openRig, type Rig } from './rig/rig.ts';
import { pause, until } from './rig/wait.ts';

/** What the design promises for a kill -9. */
const takeoverMs = 15_000;
/** After a freeze the broker has to notice first. */
const freezeMs = 60_000;

describe.each(logKinds)(`two captures, seed ${seed}, log %s`, (log) => {
  it(`G5 G10: the standby takes over within 15 s of a kill -9, ${kills} times`, { timeout: 400_000 + kills * 60_000 }, async () => {
    await using rig = await openRig(seed, { log });
    const random = seededRandom(seed);
    let leader = rig.capture;
    const took: number[] = [];
    for (let round = 1; round <= kills; round += 1) {
      const standby = await standbyOf(rig, `capture-${round}`);
      await pause(random.below(1000));
      await leader.end();
      const before = await rig.log.captured();
      const killedMs = Date.now();
      await until(
        async () => (await rig.log.captured()) > before,
        freezeMs,
        () => rig.logs(),
      );
      took.push(Date.now() - killedMs);
      leader = standby;
    }
    console.info(`chaos: log ${log}, takeovers after ${took.join(', ')} ms`);
    expect(Math.max(...took)).toBeLessThan(takeoverMs);
    await expectWhole(rig);
  });

  it('section 9: a frozen leader that wakes writes nothing', { timeout: 600_000 }, async () => {
    await using rig = await openRig(seed, { log });
    const standby = await standbyOf(rig, 'capture-2');
    // It has read rows, and is about to append them.
    expect(await rig.faults('capture').order('capture:read', 'SIGSTOP', 60_000)).toBe(true);
    const before = await rig.log.captured();
    if (log === 'embedded') await deposeByHand(rig, rig.capture);
    await until(
      async () => (await rig.log.captured()) > before,
      freezeMs,
      () => rig.logs(),
    );
    if (log === 'kafka') {
      const woken = (await linesOf(rig, 'capture')).length;
      rig.capture.kill('SIGCONT');
      const fenced = async () => (await linesOf(rig, 'capture')).slice(woken).some((line) => line.includes('LOG_FENCED'));
      await until(fenced, 60_000, async () => `the sleeper says that it was fenced\n${await rig.logs()}`);
    }
    expect(standby.starts).toBe(1);
    await expectWhole(rig);
  });
});

/** Of one machine, a lock cannot be taken from a process that lives: the standby names it, and a person ends it. */
async function deposeByHand(rig: Rig, frozen: Daemon): Promise<void> {
  const named = async () => (await linesOf(rig, 'capture-2')).some((line) => line.includes(`kill -9 ${frozen.pid}`));
  await until(named, 60_000, async () => `the standby names the frozen leader\n${await rig.logs()}`);
  await frozen.end();
}

/** Another capture that has come so far that it waits. */
async function standbyOf(rig: Rig, name: string): Promise<Daemon> {
  const daemon = rig.start(name, 'run', 'capture');
  const waits = async () => (await linesOf(rig, name)).some((line) => /standing by/.test(line));
  await until(waits, 120_000, async () => `${name} waits\n${await rig.logs()}`);
  return daemon;
}

async function linesOf(rig: Rig, name: string): Promise<string[]> {
  // Without the empty text behind the last line: who counts lines to see what is new would pass over one.
  return (await readFile(join(rig.folder, `${name}.log`), 'utf8').catch(() => '')).split('\n').slice(0, -1);
}

async function expectWhole(rig: Rig): Promise<void> {
  await rig.workload.stop();
  const comparison = await rig.settled(60_000);
  expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
  expect(rig.ends(), await rig.logs()).toEqual([]);
  // One term after the other, each version once: no late batch of a former leader lies among them.
  expect(brokenRules(await rig.log.records()).slice(0, 10)).toEqual([]);
}
