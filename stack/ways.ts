import { join } from 'node:path';

import { attachContainer, openContainer } from './container.ts';
import { ensureImage, findEngine } from './engine.ts';
import type { Log } from './progress.ts';
import { recipes } from './recipes.ts';
import type { Server, ServerName } from './server.ts';
import { isNativePlace, openNative } from './server.ts';
import { serverByUrl, urlVariable } from './url.ts';

export interface StackOptions<Name extends ServerName> {
  readonly servers: readonly Name[];
  readonly log: Log;
  /** More arguments for the server's own command line, by server. Servers by URL have none. */
  readonly extraArgs?: Readonly<Partial<Record<ServerName, readonly string[]>>>;
  /** Servers of this caller alone, which it may kill and wipe: never one by URL. */
  readonly isPrivate?: boolean;
}

/** How one server is opened: the caller's options, and whether it outlives this process. */
export interface OpenOptions extends StackOptions<ServerName> {
  readonly isKept?: boolean;
}

/**
 * Opens one server in `folder` by the first way that works: a URL in the environment, a container engine, natively.
 * @throws with one line per way when none does.
 */
export async function openServer(name: ServerName, folder: string, options: OpenOptions): Promise<Server> {
  const { log, extraArgs = {}, isPrivate = false } = options;
  const startedMs = Date.now();
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(1);
  const url = process.env[urlVariable(name)];
  if (url && !isPrivate) {
    log(`${name}: by ${urlVariable(name)}`);
    return serverByUrl(name, url);
  }
  const own = join(folder, name);
  const kept = attachContainer(recipes[name], own);
  if (kept) {
    await kept.start();
    return kept;
  }
  const container = await tryContainer(name, own, options);
  if ('server' in container) {
    log(`${name}: serves after ${seconds()} s, in a container`);
    return container.server;
  }
  try {
    const server = await openNative(recipes[name], own, extraArgs[name] ?? [], log);
    log(`${name}: serves after ${seconds()} s`);
    return server;
  } catch (error) {
    throw new Error(missingWay(name, container.missing, error), { cause: error });
  }
}

async function tryContainer(name: ServerName, folder: string, options: OpenOptions): Promise<{ server: Server } | { missing: string }> {
  // What runs natively in this folder already keeps its way, whatever engine has appeared since.
  if (isNativePlace(folder)) return { missing: 'this server was set up natively' };
  const engine = await findEngine();
  if ('missing' in engine) return engine;
  try {
    await ensureImage(engine.socketPath, recipes[name].container.image, options.log);
    return { server: await openContainer(recipes[name], folder, options.extraArgs?.[name] ?? [], options.isKept ?? false) };
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error);
    options.log(`${name}: not by the container engine (${missing})`);
    return { missing };
  }
}

function missingWay(name: ServerName, containerMiss: string, error: unknown): string {
  return [
    `${name} cannot be had in any of the three ways:`,
    `  1. a server of yours: ${urlVariable(name)} is not set, or this caller needs a server that it may kill`,
    `  2. a container engine: ${containerMiss}`,
    `  3. natively, unpacked into a cache (Debian only): ${error instanceof Error ? error.message : String(error)}`,
  ].join('\n');
}
