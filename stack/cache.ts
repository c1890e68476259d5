import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Log } from './progress.ts';

/** The folder that keeps unpacked programs and jars between runs; nothing is ever installed into the system. */
export function cacheRoot(): string {
  const own = process.env['CROSSFADE_STACK_CACHE'];
  if (own) return own;
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'crossfade', 'stack');
}

/**
 * The folder for data, logs and pid files of running servers. It lies under the temporary folder, not at home,
 * because some servers refuse root and run as another user, who cannot enter a home folder of mode 700.
 */
export function runRoot(): string {
  const uid = process.getuid?.() ?? 0;
  const own = process.env['CROSSFADE_STACK_RUN'];
  const root = own ?? join(tmpdir(), `crossfade-stack-${uid}`);
  mkdirSync(root, { recursive: true, mode: 0o755 });
  // The name is predictable and the temporary folder is open to all: a folder that somebody else made is not ours to use.
  if (statSync(root).uid !== uid) throw new Error(`${root} belongs to another user; set CROSSFADE_STACK_RUN to a folder of your own`);
  return realpathSync(root);
}

/** Runs `work` while this process alone holds the lock `name`; the kernel gives the lock back when the holder dies. */
export async function withLock<T>(name: string, log: Log, work: () => Promise<T>): Promise<T> {
  const path = join(cacheRoot(), 'locks', `${name}.lock`);
  await mkdir(dirname(path), { recursive: true });
  // SQLite's file lock is the one advisory lock that Node offers; a lock file of our own would outlive a kill -9.
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    const startedMs = Date.now();
    let toldMs = 0;
    for (;;) {
      try {
        lock.exec('BEGIN EXCLUSIVE');
        break;
      } catch (error) {
        if (!/locked|busy/i.test(String(error))) throw error;
      }
      const waitedMs = Date.now() - startedMs;
      if (waitedMs - toldMs > 4000) {
        toldMs = waitedMs;
        log(`${name}: waiting for another process that prepares it … ${Math.round(waitedMs / 1000)} s`);
      }
      await sleep(100);
    }
    return await work();
  } finally {
    lock.close();
  }
}

/** The folder `name` of the cache, built by `build` into a scratch folder first so that a half-built one is never seen. */
export async function cached(name: string, key: unknown, log: Log, build: (into: string) => Promise<void>): Promise<string> {
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 10);
  const final = join(cacheRoot(), 'programs', `${name}-${digest}`);
  if (existsSync(final)) return final;
  return await withLock(name, log, async () => {
    if (existsSync(final)) return final;
    const parent = dirname(final);
    await mkdir(parent, { recursive: true });
    // A builder that was killed leaves its scratch folder; the lock says that nobody else is in it.
    for (const entry of await readdir(parent))
      if (entry.startsWith(`.${name}-building-`)) await rm(join(parent, entry), { recursive: true, force: true });
    const scratch = await mkdtemp(join(parent, `.${name}-building-`));
    await build(scratch);
    await rename(scratch, final);
    return final;
  });
}

/** Whether a user other than the owner can enter `path`: every folder on the way must let others through. */
function enterableByOthers(path: string): boolean {
  for (let folder = realpathSync(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (dirname(folder) === folder) return true;
  }
}

/** `tree` itself where another user can enter it, else a copy of it under the run folder where that user can. */
export async function stagedForOthers(tree: string, log: Log): Promise<string> {
  if (enterableByOthers(tree)) return tree;
  const name = tree.slice(dirname(tree).length + 1);
  const staged = join(runRoot(), 'programs', name);
  if (existsSync(staged)) return staged;
  return await withLock(`${name}-staged`, log, async () => {
    if (existsSync(staged)) return staged;
    await mkdir(dirname(staged), { recursive: true, mode: 0o755 });
    const scratch = await mkdtemp(`${staged}.`);
    await cp(tree, scratch, { recursive: true, verbatimSymlinks: true, mode: 0 });
    const { chmod } = await import('node:fs/promises');
    await chmod(scratch, 0o755);
    await rename(scratch, staged);
    return staged;
  });
}
