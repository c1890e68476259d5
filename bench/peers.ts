/** What the servers' own tools reach in the same run on the same machine: the references. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import type { Server } from '../stack/server.ts';
import { meterBackends } from './backend-meter.ts';
import { changesOf } from './data-set.ts';
import type { Loaded } from './load.ts';

export interface Reference {
  readonly name: string;
  /** Changes a second. */
  readonly value: number;
  /** Of the server's process, a row; where it was measured. */
  readonly cpuUs?: number;
}

const upsertRuns = 3;

/** Half of the runs were faster, half slower. */
export const middleOf = (runs: readonly Reference[]): Reference | undefined =>
  runs.toSorted((a, b) => a.value - b.value)[Math.floor((runs.length - 1) / 2)];

/** `mysqlbinlog --raw` of the very files that hold the set: the transport alone, nothing decoded. Undefined where it is not at hand. */
export async function binlogTransport(server: Server, loaded: Loaded): Promise<Reference | undefined> {
  const command = server.pid === undefined ? undefined : mysqlbinlogBeside(server.pid);
  if (!command) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-bench-raw-'));
  try {
    const { hostname, port, username } = new URL(server.url);
    const args = [
      '--no-defaults',
      '--raw',
      '--read-from-remote-server',
      `--host=${hostname}`,
      `--port=${port}`,
      `--user=${username}`,
      `--result-file=${folder}/`,
    ];
    const startedMs = performance.now();
    await run(command[0] ?? '', [...command.slice(1), ...args, ...loaded.binlogs]);
    return { name: 'mysqlbinlog --raw', value: (changesOf(loaded.set) * 1000) / (performance.now() - startedMs) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The tool lies beside the server's program and starts through the same loader: its command line says how. */
function mysqlbinlogBeside(pid: number): string[] | undefined {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const at = words.findIndex((word) => word.endsWith('/sbin/mysqld') || word.endsWith('/bin/mysqld'));
  const tool = words[at]?.replace(/s?bin\/mysqld$/, 'bin/mysqlbinlog');
  return tool !== undefined && existsSync(tool) ? [...words.slice(0, at), tool] : undefined;
}

/**
 * `\copy` of a ready-made file into a staging table, then one upsert from it, in one transaction: what psql reaches.
 * The text is taken from the target after our own run, so it is the same rows; each run has an empty table, behind a checkpoint,
 * or our own writes would slow it down, and the middle one counts. Undefined where psql is not at hand.
 */
export async function copyAndUpsert(
  server: Server,
  url: string,
  { table, rows }: { table: string; rows: number },
): Promise<Reference | undefined> {
  const psql = psqlOf(server);
  if (psql === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-bench-copy-'));
  try {
    const file = join(folder, 'rows.txt');
    const script = join(folder, 'load.sql');
    await run(psql, [url, '-qX', '-v', 'ON_ERROR_STOP=1', '-c', `\\copy ${table} TO '${file}'`]);
    const assignments = `SET customer_id = excluded.customer_id, sku = excluded.sku, title = excluded.title, status = excluded.status, amount = excluded.amount, quantity = excluded.quantity, created_at = excluded.created_at, updated_at = excluded.updated_at, note = excluded.note`;
    writeFileSync(
      script,
      `BEGIN;\nCREATE TEMP TABLE staging (LIKE ${table}) ON COMMIT DROP;\n\\copy staging FROM '${file}'\nINSERT INTO ${table}_peer SELECT * FROM staging ON CONFLICT (id) DO UPDATE ${assignments};\nCOMMIT;\n`,
    );
    const named = new URL(url);
    named.searchParams.set('application_name', 'bench_peer');
    const work = async () => {
      const startedMs = performance.now();
      await run(psql, [named.href, '-qX', '-v', 'ON_ERROR_STOP=1', '-f', script]);
      return (rows * 1000) / (performance.now() - startedMs);
    };
    const runs: Reference[] = [];
    for (let n = 0; n < upsertRuns; n += 1) {
      await run(psql, [url, '-qX', '-c', `DROP TABLE IF EXISTS ${table}_peer`, '-c', 'CHECKPOINT']);
      await run(psql, [url, '-qX', '-c', `CREATE TABLE ${table}_peer (LIKE ${table} INCLUDING ALL)`]);
      const { answer: value, cpuUs } = await meterBackends(url, 'bench_peer', work);
      runs.push({ name: 'psql COPY + upsert', value, cpuUs: cpuUs / rows });
    }
    await run(psql, [url, '-qX', '-c', `DROP TABLE ${table}_peer`]);
    return middleOf(runs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function psqlOf(server: Server): string | undefined {
  const beside = server.pid === undefined ? undefined : join(dirname(readlinkSync(`/proc/${server.pid}/exe`)), 'psql');
  return [beside, '/usr/bin/psql'].find((path) => path !== undefined && existsSync(path));
}

function run(file: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${file} ended with ${code}: ${complaint.slice(-500)}`))));
  });
}
