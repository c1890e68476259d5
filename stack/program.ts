import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { ProgramTree } from './apt.ts';
import type { Command } from './command.ts';

const TRIPLETS: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** The command that starts `path` (relative to the tree) with the tree's own libraries. */
export function inTree(tree: ProgramTree, path: string, args: readonly string[]): Command {
  const libraries = libraryFolders(tree.root).join(':');
  const program = join(tree.root, path);
  // The host's loader with a library path is inherited by children that are started by path (initdb starts postgres).
  if (tree.loader === 'host') return { file: program, args, env: { LD_LIBRARY_PATH: libraries } };
  return { file: ownLoader(tree.root), args: ['--library-path', libraries, program, ...args] };
}

function triplet(): string {
  const name = TRIPLETS[process.arch];
  if (!name) throw new Error(`no Debian packages are known for the processor "${process.arch}"`);
  return name;
}

function libraryFolders(root: string): string[] {
  const bases = ['usr/lib', 'lib'].map((base) => join(root, base, triplet())).filter((folder) => existsSync(folder));
  // Servers keep private libraries in a folder of their own below the common one.
  const own = bases.flatMap((base) => ['mysql/private'].map((part) => join(base, part))).filter((folder) => existsSync(folder));
  return [...bases, ...own];
}

/** The dynamic loader that came with the tree's C library: the host's may be older than what the programs ask for. */
function ownLoader(root: string): string {
  const folders = ['usr/lib', 'lib'].map((base) => join(root, base, triplet()));
  for (const folder of [...folders, join(root, 'usr/lib64'), join(root, 'lib64'), join(root, 'usr/lib')]) {
    if (!existsSync(folder)) continue;
    const name = readdirSync(folder).find((entry) => /^ld-linux-.*\.so\.\d+$/.test(entry));
    // Some releases ship the loader as an absolute link, which would lead to the host's.
    if (name && lstatSync(join(folder, name)).isFile()) return join(folder, name);
  }
  throw new Error(`no dynamic loader in ${root}`);
}

/**
 * The first of `paths` that exists: a program that this machine has installed. `CROSSFADE_STACK_UNPACK=1` leaves those
 * aside, to see what a bare machine would do.
 */
export function installed(...paths: string[]): string | undefined {
  return process.env['CROSSFADE_STACK_UNPACK'] === '1' ? undefined : paths.find((path) => existsSync(path));
}
