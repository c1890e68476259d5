/** A process that is killed with held rows and poison in its target: what it kept aside is kept, once and in order. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HeldOrder } from './held-child.ts';
import { createSeats, openStorySink, tell } from './held-story.ts';
import { postgresFixture, type PostgresFixture } from './postgres-fixture.ts';

const child = fileURLToPath(new URL('held-child.ts', import.meta.url));
/** As passed one after another: a child that dies at the first passing of all may have done nothing but try what is held. */
const passings = [1, 3, 2, 4];

let fixture: PostgresFixture;
beforeEach(async () => {
  fixture = await postgresFixture();
  await fixture.execute(createSeats);
});
afterEach(() => fixture[Symbol.asyncDispose]());

async function snapshot(): Promise<string> {
  const rows = await fixture.rows('SELECT id, guest FROM seats ORDER BY id');
  const queued = await fixture.rows('SELECT partition, key, state, op, version FROM crossfade.quarantine ORDER BY partition, key, id');
  const stands = await fixture.rows(
    'SELECT partition, next_offset, version FROM crossfade.progress WHERE next_offset IS NOT NULL ORDER BY 1',
  );
  return JSON.stringify({ rows, queued, stands });
}

/** Every state that the target passes through where nobody dies, in order. */
async function told(): Promise<string[]> {
  const sink = await openStorySink(fixture.settings);
  await sink.claim([]);
  const states = [await snapshot()];
  await tell(sink, async () => void states.push(await snapshot()));
  await sink[Symbol.asyncDispose]();
  return states;
}

async function run(order: Omit<HeldOrder, 'url'>): Promise<'killed' | 'done'> {
  const text = JSON.stringify({ url: fixture.database.url, ...order });
  const process = spawn(globalThis.process.execPath, ['--disable-warning=ExperimentalWarning', child, text], { stdio: 'inherit' });
  const [code, signal] = (await once(process, 'exit')) as [number | null, NodeJS.Signals | null];
  if (signal === 'SIGKILL') return 'killed';
  expect(code, `${order.point}, passing ${order.passing}`).toBe(0);
  return 'done';
}

test.each(['sink:before-commit', 'sink:after-commit'] as const)(
  'G3: killed at %s with rows held and in quarantine, again and again: held is held, what follows waits, nothing is lost or doubled',
  async (point) => {
    const states = await told();
    expect(states.some((state) => state.includes('"held"') && state.includes('"quarantined"') && state.includes('"behind"'))).toBe(true);
    await fixture.execute('DROP SCHEMA crossfade CASCADE; TRUNCATE seats');
    const sink = await openStorySink(fixture.settings);
    await sink.claim([]);
    let reached = 0;
    let kills = 0;
    for (; (await run({ point, passing: passings[kills % passings.length] ?? 1 })) === 'killed'; kills += 1) {
      const state = await snapshot();
      const at = states.indexOf(state, reached);
      expect(at, `after kill ${kills + 1}, from state ${reached}: ${state}`).toBeGreaterThanOrEqual(reached);
      reached = at;
    }
    expect(kills).toBeGreaterThan(5);
    expect(await snapshot()).toBe(states.at(-1));
    const { quarantine } = sink;
    for (const { id, state, behind } of (await quarantine?.list('heads')) ?? []) {
      const isMended = state === 'quarantined' && behind > 0;
      expect(await (isMended ? quarantine?.retry(id) : quarantine?.discard(id))).toMatchObject({
        left: 0,
        applied: isMended ? behind + 1 : 0,
      });
    }
    await sink[Symbol.asyncDispose]();
    expect(await fixture.rows('SELECT id, guest FROM seats ORDER BY id')).toEqual(
      [1, 'amy', 3, 'cat', 4, 'four', 5, 'fee', 6, 'foe', 9, 'joe', 10, 'ann'].flatMap((cell, index, all) =>
        index % 2 === 0 ? [[String(cell), String(all[index + 1])]] : [],
      ),
    );
    expect(await fixture.rows('SELECT count(*) FROM crossfade.quarantine')).toEqual([['0']]);
  },
  // Some twenty processes, one after another.
  900_000,
);
