import { existsSync } from 'node:fs';
import { readdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { run } from './command.ts';
import type { Log } from './progress.ts';
import { withProgress } from './progress.ts';

/** A downloaded `.deb`. */
export interface Archive {
  readonly path: string;
  readonly bytes: number;
}

const DOCUMENTATION = ['doc', 'man', 'locale', 'lintian', 'bug', 'info'].map((part) => `--exclude=./usr/share/${part}`);

/** Unpacks Debian archives over each other into `into`, two at a time, and makes the result independent of the system's folders. */
export async function unpackArchives(name: string, archives: readonly Archive[], into: string, log: Log): Promise<void> {
  const total = megabytes(archives);
  const queue = [...archives].sort((a, b) => b.bytes - a.bytes);
  const done: Archive[] = [];
  log(`${name}: unpacking ${total} MB of packages`);
  const worker = async (): Promise<void> => {
    for (let archive = queue.shift(); archive; archive = queue.shift()) {
      // tar keeps links between folders as they are, where `dpkg-deb -x` of a package with its own /lib would replace them.
      const script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --no-same-owner --keep-directory-symlink -f - -C "$2" "${@:3}"';
      await run({ file: 'bash', args: ['-o', 'pipefail', '-c', script, 'unpack', archive.path, into, ...DOCUMENTATION] });
      done.push(archive);
    }
  };
  await withProgress(
    log,
    () => `${name}: unpacking, ${megabytes(done)} of ${total} MB`,
    () => Promise.all([worker(), worker()]),
  );
  await keepLinksInside(into);
}

/** Turns links to `/etc/…` and the like, which a JRE has many of, into links to the unpacked file of that name. */
async function keepLinksInside(root: string): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const target = await readlink(link);
    if (!target.startsWith('/') || !existsSync(join(root, target))) continue;
    await rm(link);
    await symlink(relative(dirname(link), join(root, target)), link);
  }
}

/** The size of archives in whole megabytes. */
export function megabytes(archives: readonly Archive[]): string {
  return (archives.reduce((sum, archive) => sum + archive.bytes, 0) / 1e6).toFixed(0);
}
