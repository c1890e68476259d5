import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { startStack, type Stack } from '../../../stack/stack.ts';
import { compareAll, type Comparison } from './compare.ts';
import { FaultOrders } from './faults.ts';
import { Daemon } from './process.ts';
import { type Addresses, configuration, sourceTables, targetTables } from './shop.ts';
import { MixedWorkload } from './workload.ts';

/** A private set of servers, a pipeline in three processes, and a workload: everything in it may be killed. */
export interface Rig extends AsyncDisposable {
  readonly stack: Stack<'mysql' | 'postgres' | 'redis'>;
  readonly addresses: Addresses;
  readonly folder: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly capture: Daemon;
  readonly books: Daemon;
  readonly shelf: Daemon;
  readonly workload: MixedWorkload;
  readonly faults: { readonly capture: FaultOrders; readonly books: FaultOrders; readonly shelf: FaultOrders };
  /** Another process for the service `books`: a member of the same group. */
  secondBooks(): Daemon;
  /** Waits until the targets equal the source, with the workload stopped; the last comparison when they do not in time. */
  settled(deadlineMs: number): Promise<Comparison>;
  /** The end of what each process logged, for a failure's message. */
  logs(): Promise<string>;
}

/** `together`: one `crossfade run` with its threads; then capture, books and shelf are that one process. */
export async function openRig(seed: number, processes: 'apart' | 'together' = 'apart'): Promise<Rig> {
  const stack = await startStack({ servers: ['mysql', 'postgres', 'redis'], isPrivate: true, log: () => undefined });
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-chaos-'));
  const addresses = { ...stack.urls, database: 'fire', keyPrefix: 'fire:' };
  await createTables(addresses);
  const configFile = join(folder, 'crossfade.yaml');
  await writeFile(configFile, configuration(addresses));
  const daemons: Daemon[] = [];
  const faults = {
    capture: new FaultOrders(folder, 'capture'),
    books: new FaultOrders(folder, 'books'),
    shelf: new FaultOrders(folder, 'shelf'),
  };
  const daemon = (name: keyof typeof faults, log: string, ...args: string[]) => {
    const started = new Daemon([...args, '--config', configFile], join(folder, `${log}.log`), faults[name].env).start();
    daemons.push(started);
    return started;
  };
  const together = processes === 'together' ? daemon('capture', 'capture', 'run') : undefined;
  const capture = together ?? daemon('capture', 'capture', 'run', 'capture');
  const books = together ?? daemon('books', 'books', 'run', 'apply', '--service', 'books');
  const shelf = together ?? daemon('shelf', 'shelf', 'run', 'apply', '--service', 'shelf');
  const logFile = join(folder, `${addresses.database}.crossfade.db`);
  await untilStarted(logFile, capture);
  const workload = new MixedWorkload(`${addresses.mysql}/${addresses.database}`, seed).start();
  return {
    stack,
    addresses,
    folder,
    configFile,
    logFile,
    capture,
    books,
    shelf,
    workload,
    faults,
    secondBooks: () => daemon('shelf', 'second-books', 'run', 'apply', '--service', 'books'),
    settled: (deadlineMs) => settled(addresses, deadlineMs),
    logs: () => readLogs(folder),
    async [Symbol.asyncDispose]() {
      await workload.stop();
      await Promise.all(daemons.map((one) => one.stop()));
      await stack[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function createTables({ mysql, postgres, database }: Addresses): Promise<void> {
  const connection = await createConnection({ uri: mysql });
  await connection.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
  await connection.query(`USE ${database}`);
  for (const statement of sourceTables) await connection.query(statement);
  await connection.end();
  const client = new pg.Client({ connectionString: postgres });
  await client.connect();
  for (const statement of targetTables) await client.query(statement);
  await client.end();
}

/** The pipeline starts at the server's current position, so nothing may be written before it says that it has one. */
async function untilStarted(logFile: string, capture: Daemon): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    try {
      using database = new DatabaseSync(logFile, { readOnly: true });
      if (database.prepare("SELECT 1 FROM control WHERE kind = 'start'").get() !== undefined) return;
    } catch {
      // The file, or its tables, are not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`capture wrote no start record within 60 s (${capture.ends.join(', ')})`);
}

async function settled(addresses: Addresses, deadlineMs: number): Promise<Comparison> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const comparison = await compareAll(addresses).catch((error: unknown) => ({
      differences: [`not readable: ${String(error)}`],
      rows: 0,
    }));
    if (comparison.differences.length === 0 || Date.now() > deadline) return comparison;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function readLogs(folder: string): Promise<string> {
  const parts: string[] = [];
  for (const name of ['capture', 'books', 'shelf', 'second-books']) {
    const text = await readFile(join(folder, `${name}.log`), 'utf8').catch(() => '');
    parts.push(`--- ${name}`, ...text.split('\n').slice(-12));
  }
  return parts.join('\n');
}
