import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Command } from './command.ts';
import { freePort } from './ports.ts';
import { runningPid, signalTree, startDetached } from './process.ts';
import type { Log } from './progress.ts';

export const SERVER_NAMES = ['mysql', 'mariadb', 'postgres', 'redis', 'kafka'] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

/** A server that the stack gives out. One that came by URL cannot be controlled: its methods reject. */
export interface Server extends AsyncDisposable {
  readonly name: ServerName;
  readonly via: 'url' | 'container' | 'native';
  /** A DSN with the superuser, without a database: `mysql://root@127.0.0.1:PORT`; for Kafka `127.0.0.1:PORT`. */
  readonly url: string;
  /** Where the server's data, log and pid are; undefined where it is not a process of this machine. */
  readonly dataDir: string | undefined;
  /** The server's process now; undefined while it is down or where it is not a process of this machine. */
  readonly pid: number | undefined;
  /** Starts it on the same port with the same data and waits until it serves. Does nothing when it runs. */
  start(): Promise<void>;
  /** Ends it in its own orderly way, keeping its data. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Sends a signal to the server and its children: SIGKILL (resolves when all are gone), SIGSTOP, SIGCONT, SIGTERM. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Removes all data of a server that is down; the next start begins empty. */
  wipe(): Promise<void>;
}

/** How one kind of server is had natively. */
export interface Recipe {
  readonly name: ServerName;
  readonly url: (port: number) => string;
  /** Fills an empty data folder; `place.data` exists and is empty. */
  readonly initialise: (place: Place) => Promise<void>;
  readonly command: (place: Place) => Promise<Command>;
  /** Asks the server one question as a client would; rejects until it serves. */
  readonly ask: (url: string) => Promise<void>;
  readonly stopSignal: NodeJS.Signals;
  /** How it is had from a container engine. */
  readonly container: ContainerRecipe;
}

/** An official image and what it has to be told; `hostPort` is where this machine reaches it. */
interface ContainerRecipe {
  readonly image: string;
  readonly port: number;
  readonly environment: (hostPort: number) => Readonly<Record<string, string>>;
  readonly command: (extraArgs: readonly string[]) => readonly string[];
}

/** One instance's folder and settings, kept in `server.json` so that any process can stop or restart it. */
export interface Place {
  readonly folder: string;
  readonly data: string;
  readonly port: number;
  readonly extraArgs: readonly string[];
  readonly log: Log;
}

const SAVED = 'server.json';
/** A broker takes five; a machine that others load takes more than a minute. */
const START_SECONDS = 180;

/** Creates an instance in `folder` (absent or from an earlier life, whose port and data it then keeps) and starts it. */
export async function openNative(recipe: Recipe, folder: string, extraArgs: readonly string[], log: Log): Promise<Server> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const saved = savedPlace(folder);
  if (saved) {
    const server = nativeServer(recipe, { ...saved, log });
    await server.start();
    return server;
  }
  for (let attempt = 1; ; attempt++) {
    const place: Place = { folder, data: join(folder, 'data'), port: await freePort(), extraArgs, log };
    try {
      // Saved before it starts: should this process die half-way, the next one finds the port of what runs.
      await writeFile(join(folder, SAVED), JSON.stringify({ name: recipe.name, port: place.port, extraArgs }));
      const server = nativeServer(recipe, place);
      await server.start();
      return server;
    } catch (error) {
      // Another program can take the port between the look and the server's own bind: then, and only then, another port.
      if (attempt >= 3 || !/address already in use/i.test(logTail(folder, 40))) throw error;
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { mode: 0o755 });
    }
  }
}

/** The server that an earlier `openNative`, perhaps of another process, left in `folder`. */
export function attachNative(recipe: Recipe, folder: string, log: Log): Server {
  const saved = savedPlace(folder);
  if (!saved) throw new Error(`no server has been set up in ${folder}`);
  return nativeServer(recipe, { ...saved, log });
}

/** Whether a server was set up natively in `folder`. */
export function isNativePlace(folder: string): boolean {
  return existsSync(join(folder, SAVED));
}

function savedPlace(folder: string): Omit<Place, 'log'> | undefined {
  const path = join(folder, SAVED);
  if (!existsSync(path)) return undefined;
  const saved = JSON.parse(readFileSync(path, 'utf8')) as { port: number; extraArgs: string[] };
  return { folder, data: join(folder, 'data'), port: saved.port, extraArgs: saved.extraArgs };
}

function nativeServer(recipe: Recipe, place: Place): Server {
  const { folder, data } = place;
  const url = recipe.url(place.port);
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    const pid = runningPid(folder);
    if (pid !== undefined) await signalTree(pid, folder, signal);
  };
  const start = async (): Promise<void> => {
    if (runningPid(folder) !== undefined) return await untilServing(recipe, folder, url);
    const fresh = join(folder, 'initialising');
    // The marker outlives a kill in the middle, so that a half-filled data folder is filled again from nothing.
    if (!existsSync(data) || existsSync(fresh)) {
      await rm(data, { recursive: true, force: true });
      await writeFile(fresh, '');
      await mkdir(data, { mode: 0o755 });
      await recipe.initialise(place);
      await rm(fresh);
    }
    await launch(recipe, place, url);
  };
  const stop = () => kill(recipe.stopSignal);
  return {
    name: recipe.name,
    via: 'native',
    url,
    dataDir: data,
    get pid() {
      return runningPid(folder);
    },
    start,
    stop,
    kill,
    restart: async () => {
      await stop();
      await start();
    },
    wipe: async () => {
      if (runningPid(folder) !== undefined) throw new Error(`${recipe.name} runs; stop or kill it before its data is wiped`);
      await rm(data, { recursive: true, force: true });
    },
    [Symbol.asyncDispose]: async () => {
      // The data goes with the server, so there is nothing to flush and an orderly stop would only take time.
      await kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts the process; tries again while remains of a killed predecessor (its port, its shared memory) are being cleared. */
async function launch(recipe: Recipe, place: Place, url: string): Promise<void> {
  // The port: a Redis that is killed just as it forks leaves a child behind that holds it until its rewrite is done.
  const remains = /pre-existing shared memory|lock file .* already exists|Unable to lock|Address already in use/i;
  const untilMs = Date.now() + 15_000;
  for (;;) {
    const logBytes = logSize(place.folder);
    await startDetached(await recipe.command(place), place.folder);
    try {
      return await untilServing(recipe, place.folder, url);
    } catch (error) {
      const since = logSince(place.folder, logBytes);
      if (Date.now() > untilMs || !remains.test(since)) throw error;
      await sleep(200);
    }
  }
}

async function untilServing(recipe: Recipe, folder: string, url: string): Promise<void> {
  const untilMs = Date.now() + START_SECONDS * 1000;
  for (let last: unknown; ;) {
    try {
      return await recipe.ask(url);
    } catch (error) {
      last = error;
    }
    if (runningPid(folder) === undefined)
      throw new Error(`${recipe.name} ended while starting; the end of its log:\n${logTail(folder, 15)}`);
    if (Date.now() > untilMs) {
      await signalTree(runningPid(folder) ?? 0, folder, 'SIGKILL');
      throw new Error(`${recipe.name} did not serve within ${START_SECONDS} s; the end of its log:\n${logTail(folder, 15)}`, {
        cause: last,
      });
    }
    await sleep(50);
  }
}

function logTail(folder: string, lines: number): string {
  return logSince(folder, 0).trimEnd().split('\n').slice(-lines).join('\n');
}

function logSize(folder: string): number {
  return logSince(folder, 0).length;
}

function logSince(folder: string, from: number): string {
  const path = join(folder, 'log');
  return existsSync(path) ? readFileSync(path, 'utf8').slice(from) : '';
}
