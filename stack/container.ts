import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { freePort } from './ports.ts';
import type { Recipe, Server } from './server.ts';

const SAVED = 'container.json';
// Two minutes: a machine that starts all servers at once, beside a build, is slow.
const SERVING_SECONDS = 120;

/** What another process needs to control the container. */
interface Saved {
  readonly containerName: string;
  readonly port: number;
  readonly extraArgs: readonly string[];
  /** Whether the container outlives the process that made it. */
  readonly isKept: boolean;
}

/** Starts `recipe`'s image through testcontainers on a host port that stays the same over restarts. */
export async function openContainer(recipe: Recipe, folder: string, extraArgs: readonly string[], isKept: boolean): Promise<Server> {
  const port = await freePort();
  const saved: Saved = { containerName: `crossfade-${recipe.name}-${process.pid}-${port}`, port, extraArgs, isKept };
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await writeFile(join(folder, SAVED), JSON.stringify(saved));
  const server = containerServer(recipe, folder, saved);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** The container that `openContainer`, perhaps of another process, made for `folder`; undefined where it made none. */
export function attachContainer(recipe: Recipe, folder: string): Server | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, SAVED), 'utf8');
  } catch {
    return undefined; // Whatever is in the folder came another way.
  }
  return containerServer(recipe, folder, JSON.parse(text) as Saved);
}

function containerServer(recipe: Recipe, folder: string, saved: Saved): Server {
  const url = recipe.url(saved.port);
  const start = async () => {
    const there = await find(saved.containerName);
    if (!there) await create(recipe, saved);
    else if (!(await there.inspect()).State.Running) await there.start();
    await untilServing(recipe, url);
  };
  const stop = async () => await (await find(saved.containerName))?.stop({ t: 20 });
  const remove = async () => await (await find(saved.containerName))?.remove({ force: true, v: true });
  return {
    name: recipe.name,
    via: 'container',
    url,
    dataDir: undefined,
    pid: undefined,
    start,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    kill: async (signal) => {
      const container = await find(saved.containerName);
      // The engine freezes a whole container at once; a signal would reach its first process alone.
      if (signal === 'SIGSTOP') await container?.pause();
      else if (signal === 'SIGCONT') await container?.unpause();
      else {
        await container?.kill({ signal });
        if (signal === 'SIGKILL' || signal === 'SIGTERM') await untilDown(saved.containerName);
      }
    },
    wipe: remove,
    [Symbol.asyncDispose]: async () => {
      await remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Loaded when it is needed: the package takes half a second, which a machine without an engine need not spend. */
async function testcontainers() {
  // Where the ports are. Inside of what looks like a container it would look at the network's gateway, where they are not.
  process.env['TESTCONTAINERS_HOST_OVERRIDE'] ??= '127.0.0.1';
  return await import('testcontainers');
}

async function create(recipe: Recipe, saved: Saved): Promise<void> {
  const { GenericContainer } = await testcontainers();
  /** Nobody asks these servers for a password, so they are had on this machine alone; testcontainers has no word for that. */
  class LoopbackContainer extends GenericContainer {
    protected override beforeContainerCreated(): Promise<void> {
      const bindings = this.hostConfig.PortBindings as Record<string, { HostIp?: string }[]> | undefined;
      for (const binding of Object.values(bindings ?? {}).flat()) binding.HostIp = '127.0.0.1';
      return Promise.resolve();
    }
  }
  const { image, port, environment, command } = recipe.container;
  const container = new LoopbackContainer(image)
    .withName(saved.containerName)
    .withExposedPorts({ container: port, host: saved.port })
    .withEnvironment({ ...environment(saved.port) })
    .withStartupTimeout(SERVING_SECONDS * 1000)
    .withAutoCleanup(!saved.isKept);
  const args = command(saved.extraArgs);
  if (args.length > 0) container.withCommand([...args]);
  await container.start();
}

async function find(containerName: string) {
  const { getContainerRuntimeClient } = await testcontainers();
  const { container } = await getContainerRuntimeClient();
  const handle = container.getById(containerName);
  try {
    await handle.inspect();
    return handle;
  } catch (error) {
    if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) return undefined;
    throw error;
  }
}

async function untilDown(containerName: string): Promise<void> {
  const untilMs = Date.now() + SERVING_SECONDS * 1000;
  while ((await (await find(containerName))?.inspect())?.State.Running) {
    if (Date.now() > untilMs) throw new Error(`the container ${containerName} still runs ${SERVING_SECONDS} s after it was told to end`);
    await sleep(20);
  }
}

async function untilServing(recipe: Recipe, url: string): Promise<void> {
  const untilMs = Date.now() + SERVING_SECONDS * 1000;
  for (;;) {
    try {
      return await recipe.ask(url);
    } catch (error) {
      if (Date.now() > untilMs)
        throw new Error(`${recipe.name} in a container did not serve within ${SERVING_SECONDS} s: ${String(error)}`, { cause: error });
    }
    await sleep(100);
  }
}
