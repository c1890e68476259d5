/** crossfade.quarantine as an earlier release made it, and rows in it that are far from small. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const notes = tableOf('notes', ['id'], [column('id', { nullable: false }), column('n'), column('t', { kind: 'string', type: 'longtext' })]);
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

let fixture: PostgresFixture;
beforeAll(async () => {
  fixture = await postgresFixture();
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});
beforeEach(() =>
  fixture.execute(
    'DROP SCHEMA IF EXISTS crossfade CASCADE; DROP TABLE IF EXISTS notes; CREATE TABLE notes (id int PRIMARY KEY, n int CHECK (n < 100), t text)',
  ),
);

const open = (): Promise<Sink> =>
  openPostgresSink(fixture.settings, {
    pipeline: 'test',
    service: 'orders',
    mappings: [mappingTo(notes)],
    logger: quiet,
    onPoison: 'quarantine',
    partitions: ['notes#0'],
  });
const put = (id: number, n: number, t: string) => [0, notes, { op: 'insert', after: { id, n, t } }] as const;
const change = (id: number, n: number, from: string, t: string) =>
  [0, notes, { op: 'update', before: { id, n: 1, t: from }, after: { id, n, t } }] as const;

test('what an earlier release kept as text can be shown, and its table learns about bytes with the next claim', async () => {
  await using first = await open();
  const batches = new Batches('notes#0');
  await first.claim([batches.partition]);
  await first.write(batches.of([put(1, 500, 'ж "1"'), put(2, 500, 'two')]));
  await fixture.execute(
    `ALTER TABLE crossfade.quarantine ALTER COLUMN envelope TYPE text USING replace(convert_from(envelope, 'UTF8'), 'ж', '\\u0436')`,
  );
  const [head, other] = (await first.quarantine?.list('heads')) ?? [];
  expect((await first.quarantine?.show(head?.id ?? ''))?.event).toMatchObject({ op: 'insert', after: { id: 1, n: 500, t: 'ж "1"' } });
  await fixture.execute('ALTER TABLE notes DROP CONSTRAINT notes_n_check');
  expect(await first.quarantine?.retry(head?.id ?? '')).toMatchObject({ applied: 1, left: 0 });
  expect(await fixture.rows('SELECT id, t FROM notes')).toEqual([['1', 'ж "1"']]);

  const sinks = await Promise.all([open(), open(), open()]);
  await Promise.all(sinks.map((sink, index) => sink.claim([`other#${index}`])));
  expect(
    await fixture.rows(
      `SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'crossfade.quarantine'::regclass AND attname = 'envelope'`,
    ),
  ).toEqual([['bytea']]);
  expect(await sinks[0]?.quarantine?.retry(other?.id ?? '')).toMatchObject({ applied: 1, left: 0 });
  expect(await fixture.rows('SELECT id, t FROM notes ORDER BY id')).toEqual([
    ['1', 'ж "1"'],
    ['2', 'two'],
  ]);
  for (const sink of sinks) await sink[Symbol.asyncDispose]();
});

test('check: an old table that belongs to somebody else', async () => {
  await using sink = await open();
  await sink.claim(['notes#0']);
  const role = `old_${process.pid}`;
  await fixture.execute(`ALTER TABLE crossfade.quarantine ALTER COLUMN envelope TYPE text USING convert_from(envelope, 'UTF8');
    CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA crossfade TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO ${role}; GRANT ALL ON notes TO ${role}`);
  try {
    const other = await fixture.open([mappingTo(notes)], { ...fixture.settings, user: role, password: 'x' });
    const [finding] = await other.check([notes]);
    expect(finding).toMatchObject({ level: 'error', code: 'TARGET_PRIVILEGE' });
    await fixture.execute(finding?.fix ?? '');
    expect(await other.check([notes])).toEqual([]);
  } finally {
    await fixture.execute(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});

test(
  'G9: a refused row of 26 MB keeps neither the process nor its transaction waiting, and comes back as it was',
  { timeout: 120_000 },
  async () => {
    const body = 'ж'.repeat(13_000_000);
    await using sink = await open();
    const batches = new Batches('notes#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of([put(1, 1, 'small')]));
    const before = process.cpuUsage();
    let longest = 0;
    let last = process.cpuUsage();
    const beat = setInterval(() => {
      const { user, system } = process.cpuUsage(last);
      longest = Math.max(longest, (user + system) / 1e6);
      last = process.cpuUsage();
    }, 5);
    await sink.write(batches.of([change(1, 500, 'small', body)]));
    clearInterval(beat);
    const { user, system } = process.cpuUsage(before);
    console.info(`26 MB into quarantine: ${((user + system) / 1e6).toFixed(2)} s of CPU, ${longest.toFixed(2)} s at a time`);
    // By CPU: what the machine has left for us is not ours to promise.
    expect(longest).toBeLessThan(1);
    const [head] = (await sink.quarantine?.list('heads')) ?? [];
    expect(Number((await fixture.rows('SELECT octet_length(envelope) FROM crossfade.quarantine'))[0]?.[0])).toBeLessThan(27e6);
    await fixture.execute('ALTER TABLE notes DROP CONSTRAINT notes_n_check');
    expect(await sink.quarantine?.retry(head?.id ?? '')).toMatchObject({ applied: 1, left: 0 });
    expect(await fixture.rows(`SELECT n, octet_length(t), t = repeat('ж', 13000000) FROM notes`)).toEqual([['500', '26000000', 't']]);
  },
);
