import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { lineForSuite, machineSources } from '../apt-sources.ts';
import { run } from '../command.ts';
import type { Log } from '../progress.ts';
import { outcome } from './outcome.ts';
import type { Podman } from './podman.ts';
import type { StandIn } from './stand-ins.ts';
import { dockerfileOf, entryPointOf } from './stand-ins.ts';

const SUITE = 'bookworm';
const BASE = `localhost/crossfade-stand-in/base:${SUITE}`;

/** The name under which Docker's clients look for `image`. */
export function dockerName(image: string): string {
  return image.includes('/') ? `docker.io/${image}` : `docker.io/library/${image}`;
}

/** Makes the base image, unless it is there: the smallest Debian, from the mirror of this machine's apt configuration. */
export async function assembleBase(podman: Podman): Promise<string> {
  if (await exists(podman, BASE)) return 'is there';
  const line = lineForSuite(machineSources(), SUITE, SUITE);
  // `deb [options] URI SUITE COMPONENTS`
  const mirror = /^deb (?:\[[^\]]*\] )?(\S+)/.exec(line ?? '')?.[1];
  if (mirror === undefined) throw new Error(`no mirror of Debian ${SUITE} in this machine's apt configuration`);
  return await inScratch(async (folder) => {
    const root = join(folder, 'root');
    await run({ file: 'debootstrap', args: ['--variant=minbase', SUITE, root, mirror] });
    await rm(join(root, 'var/cache/apt/archives'), { recursive: true, force: true });
    await mkdir(join(root, 'var/cache/apt/archives/partial'), { recursive: true });
    const archive = join(folder, 'base.tar');
    await run({ file: 'tar', args: ['--numeric-owner', '-C', root, '-cf', archive, '.'] });
    await run(podman.command('podman', ['import', '--quiet', archive, BASE]));
    return 'assembled';
  });
}

/** Makes a stand-in, unless the same one is there, and gives it the name that it stands in for. */
export async function assemble(podman: Podman, standIn: StandIn, log: Log): Promise<string> {
  const dockerfile = dockerfileOf(standIn, BASE);
  const entryPoint = entryPointOf(standIn);
  const digest = createHash('sha256').update(dockerfile).update(entryPoint).update(String(standIn.fill)).digest('hex').slice(0, 10);
  const name = `localhost/crossfade-stand-in/${standIn.entryPoint}:${digest}`;
  const isThere = await exists(podman, name);
  if (!isThere)
    await inScratch(async (folder) => {
      await mkdir(join(folder, 'root'));
      await standIn.fill(join(folder, 'root'), log);
      await writeFile(join(folder, 'entry-point'), entryPoint);
      await chmod(join(folder, 'entry-point'), 0o755);
      await writeFile(join(folder, 'Dockerfile'), dockerfile);
      await buildImage(podman, folder, name);
    });
  await run(podman.command('podman', ['tag', name, dockerName(standIn.image)]));
  const { size } = await imageFacts(podman, name);
  return `stand-in: ${standIn.holds}, ${megabytes(size)} MB, ${isThere ? 'was there' : 'assembled'}`;
}

/** Builds `folder/Dockerfile` with what is on this machine: nothing is pulled. */
export async function buildImage(podman: Podman, folder: string, name: string): Promise<void> {
  // A build's steps run in a changed root on the host's network: containers in containers need more than this box has.
  const how = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--format', 'docker', '--layers'];
  await run(podman.command('buildah', ['bud', ...how, '--tag', name, folder]));
}

export interface ImageFacts {
  readonly size: number;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What the engine says of an image. */
export async function imageFacts(podman: Podman, name: string): Promise<ImageFacts> {
  const text = await run(podman.command('podman', ['image', 'inspect', name]));
  const [facts] = JSON.parse(text) as { Size: number; User: string; Labels: Record<string, string> | null }[];
  return { size: facts?.Size ?? 0, user: facts?.User ?? '', labels: facts?.Labels ?? {} };
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

async function exists(podman: Podman, name: string): Promise<boolean> {
  return (await outcome(podman.command('podman', ['image', 'exists', name]))).code === 0;
}

async function inScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-image-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
