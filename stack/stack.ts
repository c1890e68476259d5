import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { runRoot } from './cache.ts';
import { attachContainer } from './container.ts';
import { anyProcessNames, exists } from './process.ts';
import type { Log } from './progress.ts';
import { recipes } from './recipes.ts';
import type { Server, ServerName } from './server.ts';
import { attachNative } from './server.ts';
import { serverByUrl } from './url.ts';
import type { OpenOptions, StackOptions } from './ways.ts';
import { openServer } from './ways.ts';

/** Real servers, started or found. Disposing ends what was started here and removes its data. */
export interface Stack<Name extends ServerName = ServerName> extends AsyncDisposable {
  readonly urls: Readonly<Record<Name, string>>;
  readonly servers: Readonly<Record<Name, Server>>;
  /** Everything another process needs to reach and control the same servers; plain JSON, for `openStack`. */
  readonly description: StackDescription;
}

export type StackDescription = Readonly<Partial<Record<ServerName, { readonly url: string; readonly folder?: string }>>>;

/**
 * Starts servers side by side on free ports; they end with this process, however it dies.
 * Each comes by the first way that works: a URL in the environment, a container engine, natively.
 */
export async function startStack<Name extends ServerName>(options: StackOptions<Name>): Promise<Stack<Name>> {
  const runs = join(runRoot(), 'runs');
  await sweep(runs);
  const folder = join(runs, `${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const endGuard = startGuard(folder);
  const end = async (servers: readonly Server[]) => {
    const results = await Promise.allSettled(servers.map((server) => server[Symbol.asyncDispose]()));
    await endGuard();
    const failures = reasons(results);
    if (failures.length > 0) throw new AggregateError(failures, 'some servers did not end');
  };
  const { servers, failures } = await openAll(folder, options);
  if (failures.length > 0) {
    await end(servers);
    throw combined(failures);
  }
  return stackOf<Name>(servers, folder, () => end(servers));
}

/** Brings up servers in `folder`, or those that are there already, and leaves them running after this process. */
export async function keepStack<Name extends ServerName>(folder: string, options: StackOptions<Name>): Promise<Stack<Name>> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const { servers, failures } = await openAll(folder, { ...options, isKept: true });
  // What did come up stays: the next call finds it, and `down` ends it.
  if (failures.length > 0) throw combined(failures);
  return stackOf<Name>(servers, folder, () => Promise.resolve());
}

/** The servers of a stack that another process started; `from` is a description or a file that holds one as JSON. */
export function openStack(from: StackDescription | string, log: Log = () => undefined): Stack {
  const description = typeof from === 'string' ? (JSON.parse(readFileSync(from, 'utf8')) as StackDescription) : from;
  const servers = Object.entries(description).map(([name, { url, folder }]) => {
    const known = name as ServerName;
    return folder === undefined
      ? serverByUrl(known, url)
      : (attachContainer(recipes[known], folder) ?? attachNative(recipes[known], folder, log));
  });
  return stackOf(servers, undefined, () => Promise.resolve());
}

async function openAll(folder: string, options: OpenOptions): Promise<{ servers: Server[]; failures: unknown[] }> {
  const results = await Promise.allSettled(options.servers.map((name) => openServer(name, folder, options)));
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  return { servers, failures: reasons(results) };
}

function reasons(results: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
}

function combined(failures: readonly unknown[]): unknown {
  return failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(String).join('\n'));
}

function stackOf<Name extends ServerName>(servers: readonly Server[], folder: string | undefined, end: () => Promise<void>): Stack<Name> {
  const description = Object.fromEntries(
    servers.map((server) => {
      const own = folder === undefined ? undefined : join(folder, server.name);
      return [server.name, { url: server.url, ...(own !== undefined && server.via !== 'url' ? { folder: own } : {}) }];
    }),
  );
  return {
    urls: Object.fromEntries(servers.map((server) => [server.name, server.url])) as Record<Name, string>,
    servers: Object.fromEntries(servers.map((server) => [server.name, server])) as Record<Name, Server>,
    description,
    [Symbol.asyncDispose]: end,
  };
}

/** Starts the process that ends the servers of `folder` should this one die; the returned function lets it end. */
function startGuard(folder: string): () => Promise<void> {
  const script = fileURLToPath(new URL('guard.ts', import.meta.url));
  const guard = spawn(process.execPath, [script, folder], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  guard.unref();
  const pipe = guard.stdin as typeof guard.stdin & { unref(): void };
  pipe.unref();
  const ended = new Promise<void>((resolve) => guard.once('exit', () => resolve()));
  return async () => {
    guard.ref();
    guard.stdin.end();
    await ended;
  };
}

/** Removes what runs left behind whose process and guard both died (a machine that was switched off). */
async function sweep(runs: string): Promise<void> {
  if (!existsSync(runs)) return;
  for (const name of await readdir(runs)) {
    const pid = Number(basename(name).split('-')[0]);
    if (!exists(pid) && !anyProcessNames(join(runs, name))) await rm(join(runs, name), { recursive: true, force: true });
  }
}
