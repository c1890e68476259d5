/** G9 from outside: the highest resident set of the real program while something larger than its memory goes through it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection, type Connection } from 'mysql2/promise';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bulkSet, tableDefinition } from '../../bench/data-set.ts';
import { peakRssMbOf } from '../../bench/process-meter.ts';
import { emptyTarget } from '../../bench/target.ts';
import type { Stack } from '../../stack/stack.ts';
import { eventually, startCli } from '../support/cli.ts';
import { privateStack } from '../support/servers.ts';

/** `MEMORY_ROWS=2000000`, as the long run has it, is the whole promise; fewer rows show the same peak, only sooner. */
const rows = Number(process.env['MEMORY_ROWS'] ?? 200_000);
const isLong = rows >= 2_000_000;
const database = 'shop';
const secondsOf = (work: number) => work * 1000;
/** A slow machine that many share: 2,000 rows a second. */
const deadlineMs = secondsOf(120 + rows / 2000);

let stack: Stack<'mysql' | 'postgres'>;
let source: Connection;
let target: Client;

beforeAll(async () => {
  stack = await privateStack({
    servers: ['mysql', 'postgres'],
    extraArgs: {
      mysql: ['--max-allowed-packet=1G', '--sync-binlog=0', '--innodb-flush-log-at-trx-commit=2', '--innodb-log-buffer-size=256M'],
    },
  });
  source = await createConnection({ uri: stack.urls.mysql, timezone: 'Z' });
  await source.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
  await source.query(`USE ${database}`);
  target = new Client({ connectionString: stack.urls.postgres });
  await target.connect();
}, secondsOf(120));

afterAll(async () => {
  await source?.end();
  await target?.end();
  await stack?.[Symbol.asyncDispose]();
});

async function executedGtids(): Promise<string> {
  const [found] = await source.query('SELECT @@GLOBAL.gtid_executed AS gtid');
  return String((found as { gtid: string }[])[0]?.gtid).replaceAll(/\s/g, '');
}

interface Going {
  readonly name: string;
  /** Of the configuration's `source.mysql`. */
  readonly more?: string;
  /** Of the service. */
  readonly service?: string;
  readonly from: string;
  readonly done: () => Promise<boolean>;
}

/** The highest resident set, in MB, of `crossfade run` until `done`. */
async function peakOf({ name, more = '', service = '', from, done }: Going): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-memory-'));
  try {
    await writeFile(
      join(folder, 'crossfade.yaml'),
      `pipeline: ${name}
source:
  mysql: { url: ${JSON.stringify(stack.urls.mysql)}, start: { gtid: ${JSON.stringify(from)} }${more} }
log: embedded
services:
  s:
    postgres: ${stack.urls.postgres}${service}
    tables: { ${database}.${name}: { to: public.${name} } }
`,
    );
    const running = startCli(['run'], { cwd: folder });
    let ended = false;
    void running.finished.then(() => (ended = true));
    await eventually(
      `${name} through crossfade run\n${running.text()}`,
      async () => {
        if (ended) throw new Error(`it ended: ${running.text().slice(-2000)}`);
        return (await done()) ? true : undefined;
      },
      deadlineMs,
    );
    const peak = peakRssMbOf(running.child.pid ?? 0);
    running.child.kill('SIGTERM');
    await running.finished;
    return peak;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const single = async (sql: string): Promise<string> =>
  ((await target.query<unknown[]>({ text: sql, rowMode: 'array' })).rows[0] ?? []).join();

test(`G9: a transaction of ${rows} rows passes within 300 MB`, { timeout: deadlineMs + secondsOf(120) }, async () => {
  await source.query(tableDefinition('bulk'));
  await emptyTarget(target, 'bulk');
  const from = await executedGtids();
  await source.query('BEGIN');
  for (const text of bulkSet(rows / 1e6).texts()) await source.query(text.replace('bench_bulk', 'bulk'));
  await source.query('COMMIT');
  // It is seen whole or not at all.
  const counts = new Set<string>();
  const done = async () => {
    const count = await single('SELECT count(*) FROM bulk');
    counts.add(count);
    return count !== '0';
  };
  const peak = await peakOf({ name: 'bulk', from, done });
  console.info(`memory: ${rows} rows in one transaction, ${peak.toFixed(0)} MB at most`);
  expect([...counts].filter((count) => count !== '0')).toEqual([String(rows)]);
  const sums = 'SELECT count(*), sum(id), sum(amount), sum(quantity) FROM bulk';
  const [expected] = await source.query({ sql: sums, rowsAsArray: true });
  expect(await single(sums)).toBe((expected as unknown[][])[0]?.join());
  expect(peak).toBeLessThan(300);
});

/** 100 MB in a long run; with characters that are escaped and some that take more than a byte. */
const hugeBytes = isLong ? 100e6 : 30e6;
const pattern = `é "quoted" \\\\ text with a line\n`;

test(`G9: an INSERT of one row of ${hugeBytes / 1e6} MB passes within ${isLong ? 700 : 450} MB`, { timeout: secondsOf(300) }, async () => {
  await source.query('CREATE TABLE huge (id INT PRIMARY KEY, body LONGTEXT)');
  await target.query('CREATE TABLE huge (id integer PRIMARY KEY, body text)');
  const from = await executedGtids();
  const times = Math.ceil(hugeBytes / Buffer.byteLength(pattern));
  await source.query('INSERT INTO huge VALUES (2, REPEAT(?, ?))', [pattern, times]);
  await source.query("INSERT INTO huge VALUES (3, 'behind')");
  const done = async () => (await single('SELECT count(*) FROM huge')) === '2';
  const peak = await peakOf({ name: 'huge', more: ', maxRowBytes: 200000000', from, done });
  console.info(`memory: one row of ${hugeBytes / 1e6} MB, ${peak.toFixed(0)} MB at most`);
  const [expected] = await source.query('SELECT SHA2(body, 256) AS digest FROM huge WHERE id = 2');
  expect(await single(`SELECT encode(sha256(convert_to(body, 'UTF8')), 'hex') FROM huge WHERE id = 2`)).toBe(
    (expected as { digest: string }[])[0]?.digest,
  );
  expect(peak).toBeLessThan(isLong ? 700 : 450);
});

/** Rows that the target takes need 315 and 455 MB: an update is in the log with both images. */
test.each([
  ['an INSERT', 'refused', 450],
  ['an INSERT and an UPDATE', 'altered', 550],
])(
  'G9: %s of one row of 26 MB that the target refuses is kept within its bound: %s, %d MB',
  { timeout: secondsOf(300) },
  async (_, name, mb) => {
    await source.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, n INT, body LONGTEXT)`);
    await target.query(`CREATE TABLE ${name} (id integer PRIMARY KEY, n integer CHECK (n < 100), body text)`);
    const from = await executedGtids();
    await source.query(`INSERT INTO ${name} VALUES (10, 500, REPEAT('ж', 13000000))`);
    if (name === 'altered') await source.query(`UPDATE ${name} SET n = 501 WHERE id = 10`);
    await source.query(`INSERT INTO ${name} VALUES (11, 1, 'behind')`);
    const done = async () => (await single(`SELECT count(*) FROM ${name}`)) === '1';
    const peak = await peakOf({ name, service: '\n    onPoison: quarantine', from, done });
    console.info(`memory: refused row of 26 MB (${name}), ${peak.toFixed(0)} MB at most`);
    const states = await single(`SELECT string_agg(state, ' ' ORDER BY id) FROM crossfade.quarantine WHERE pipeline = '${name}'`);
    expect(states).toBe(name === 'altered' ? 'quarantined behind' : 'quarantined');
    expect(peak).toBeLessThan(mb);
  },
);

test('G9: a row over the limit is a clear stop in front of it', { timeout: secondsOf(120) }, async () => {
  await source.query('CREATE TABLE wide (id INT PRIMARY KEY, body LONGTEXT)');
  await target.query('CREATE TABLE wide (id integer PRIMARY KEY, body text)');
  const from = await executedGtids();
  await source.query("INSERT INTO wide VALUES (1, 'before')");
  await source.query("INSERT INTO wide VALUES (2, REPEAT('x', 3000000))");
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-memory-'));
  try {
    const config = `pipeline: wide
source:
  mysql: { url: ${JSON.stringify(stack.urls.mysql)}, start: { gtid: ${JSON.stringify(from)} }, maxRowBytes: 1000000 }
log: embedded
services: { s: { postgres: "${stack.urls.postgres}", tables: { ${database}.wide: { to: public.wide } } } }
`;
    await writeFile(join(folder, 'crossfade.yaml'), config);
    const { code, stderr, stdout } = await startCli(['run'], { cwd: folder }).finished;
    expect(code).toBe(4);
    expect(stdout + stderr).toContain('SOURCE_ROW_TOO_LARGE');
    expect(stdout + stderr).toContain('maxRowBytes');
    expect(stdout + stderr).not.toContain('xxxx');
    expect(await readFile(join(folder, 'crossfade.yaml'), 'utf8')).toBe(config);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
