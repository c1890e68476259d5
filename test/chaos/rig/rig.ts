import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { ServerName } from '../../../stack/server.ts';
import { startStack, type Stack } from '../../../stack/stack.ts';
import { appliedInPostgres, appliedInRedis, offsetsInPostgres } from './applied.ts';
import { compareAll, type Comparison } from './compare.ts';
import { FaultOrders } from './faults.ts';
import { type LogKind, type LogView, viewOf } from './log-view.ts';
import { portOf } from './move.ts';
import { Daemon } from './process.ts';
import { type Proxy, startProxy } from './proxy.ts';
import { type Addresses, configuration, sourceTables, targetTables } from './shop.ts';
import { pause, until } from './wait.ts';
import { MixedWorkload } from './workload.ts';

type Proxied = 'mysql' | 'postgres' | 'kafka';
export interface RigOptions {
  readonly log: LogKind;
  /** `together`: one `crossfade run` with its threads; then capture, books and shelf are that one process. */
  readonly processes?: 'apart' | 'together';
  /** Of the ledger's stream; 1 unless named. */
  readonly partitions?: number;
  /** Every server but Redis is reached through a proxy. */
  readonly behindProxies?: boolean;
  /** Further lines of the configuration's top level. */
  readonly more?: string;
  /** Further words for `run capture`. */
  readonly captureArgs?: readonly string[];
  /** Milliseconds between the transactions of a writer. */
  readonly pauseMs?: number;
}

/** A private set of servers, a pipeline in three processes, and a workload: everything in it may be killed. */
export interface Rig extends AsyncDisposable {
  readonly stack: Stack;
  readonly proxies: Readonly<Partial<Record<Proxied, Proxy>>>;
  readonly addresses: Addresses;
  readonly folder: string;
  readonly configFile: string;
  readonly log: LogView;
  readonly capture: Daemon;
  readonly books: Daemon;
  readonly shelf: Daemon;
  readonly workload: MixedWorkload;
  /** Orders for the process that was started under this name. */
  faults(name: string): FaultOrders;
  /** Grow with what is visible in Postgres and in Redis; reject while the server is down. */
  readonly applied: { readonly books: () => Promise<number>; readonly shelf: () => Promise<number> };
  /** Of each partition of the ledger's stream, the offset behind what is visible in Postgres. */
  ledger(): Promise<ReadonlyMap<string, number>>;
  /** One more process, `crossfade <args>`, that logs under this name. */
  start(name: string, ...args: string[]): Daemon;
  /** Waits until the targets equal the source, with the workload stopped; the last comparison when they do not in time. */
  settled(deadlineMs: number): Promise<Comparison>;
  /** What the processes that are not to end by themselves have done instead. */
  ends(): string[];
  /** The end of what each process logged, for a failure's message. */
  logs(): Promise<string>;
}

export async function openRig(seed: number, options: RigOptions): Promise<Rig> {
  const { stack, proxies } = await startServers(options);
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-chaos-'));
  const through = (url: string, proxy: Proxy | undefined) => (proxy ? url.replace(/127\.0\.0\.1:\d+/, proxy.address) : url);
  const addresses = {
    mysql: through(stack.urls.mysql, proxies.mysql),
    postgres: through(stack.urls.postgres, proxies.postgres),
    redis: stack.urls.redis,
    database: 'fire',
    keyPrefix: 'fire:',
  };
  await createTables(addresses);
  const configFile = join(folder, 'crossfade.yaml');
  const kafka = options.log === 'kafka' ? (proxies.kafka?.address ?? stack.urls.kafka) : undefined;
  const log = viewOf(options.log, { pipeline: addresses.database, folder, kafka });
  const { partitions = 1, more = '' } = options;
  await writeFile(configFile, configuration(addresses, { log: log.setting, partitions, more }));
  const daemons = new Map<string, Daemon>();
  const faults = (name: string) => new FaultOrders(folder, name);
  const start = (name: string, ...args: string[]) => {
    const started = new Daemon([...args, '--config', configFile], join(folder, `${name}.log`), faults(name).env).start();
    daemons.set(`${name} ${daemons.size}`, started);
    return started;
  };
  const together = options.processes === 'together' ? start('capture', 'run') : undefined;
  const capture = together ?? start('capture', 'run', 'capture', ...(options.captureArgs ?? []));
  const books = together ?? start('books', 'run', 'apply', '--service', 'books');
  const shelf = together ?? start('shelf', 'run', 'apply', '--service', 'shelf');
  const logs = () => readLogs(folder, [...new Set([...daemons.keys()].map((name) => name.split(' ')[0] ?? name))]);
  await untilCaptured(folder, logs);
  const workload = new MixedWorkload(`${addresses.mysql}/${addresses.database}`, seed, options.pauseMs).start();
  return {
    stack,
    proxies,
    addresses,
    folder,
    configFile,
    log,
    capture,
    books,
    shelf,
    workload,
    faults,
    applied: {
      books: () => appliedInPostgres(addresses.postgres, 'books'),
      shelf: () => appliedInRedis(addresses.redis, 'shelf'),
    },
    ledger: () => offsetsInPostgres(addresses.postgres, 'books', `${addresses.database}.ledger`),
    start,
    settled: (deadlineMs) => settled(addresses, deadlineMs),
    ends: () => [...daemons].flatMap(([name, { ends }]) => ends.map((end) => `${name} ${end}`)),
    logs,
    async [Symbol.asyncDispose]() {
      for (const proxy of Object.values(proxies)) proxy.thaw();
      await workload.stop();
      await Promise.all([...daemons.values()].map((one) => one.stop()));
      await Promise.all(Object.values(proxies).map((proxy) => proxy[Symbol.asyncDispose]()));
      await stack[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startServers({ log, behindProxies = false }: RigOptions): Promise<Pick<Rig, 'stack' | 'proxies'>> {
  const proxies: Partial<Record<Proxied, Proxy>> = {};
  const names: readonly Proxied[] = log === 'kafka' ? ['mysql', 'postgres', 'kafka'] : ['mysql', 'postgres'];
  if (behindProxies) for (const name of names) proxies[name] = await startProxy();
  const servers: readonly ServerName[] = [...names, 'redis'];
  // A broker sends its clients to the address that it advertises.
  const advertised = proxies.kafka ? { extraArgs: { kafka: [`advertised.listeners=PLAINTEXT://${proxies.kafka.address}`] } } : {};
  const stack = await startStack({ servers, isPrivate: true, log: () => undefined, ...advertised });
  for (const name of names) proxies[name]?.pointAt(portOf(stack.urls[name]));
  return { stack, proxies };
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
async function untilCaptured(folder: string, logs: () => Promise<string>): Promise<void> {
  const said = async () => /capture (leads|streams)/.test(await readFile(join(folder, 'capture.log'), 'utf8'));
  await until(said, 180_000, async () => `capture leads\n${await logs()}`);
}

async function settled(addresses: Addresses, deadlineMs: number): Promise<Comparison> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const startedMs = Date.now();
    const comparison = await compareAll(addresses).catch((error: unknown) => ({
      differences: [`not readable: ${String(error)}`],
      rows: 0,
    }));
    if (comparison.differences.length === 0 || Date.now() > deadline) return comparison;
    // Hundreds of thousands of rows are compared: the pipeline needs the machine too.
    await pause(250 + 2 * (Date.now() - startedMs));
  }
}

async function readLogs(folder: string, names: readonly string[]): Promise<string> {
  const parts: string[] = [];
  for (const name of names) {
    const text = await readFile(join(folder, `${name}.log`), 'utf8').catch(() => '');
    parts.push(`--- ${name}`, ...text.split('\n').slice(-12));
  }
  return parts.join('\n');
}
