import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { cacheRoot, runRoot } from '../cache.ts';
import type { Command } from '../command.ts';
import { run } from '../command.ts';
import { call } from '../engine.ts';
import type { Log } from '../progress.ts';
import { withProgress } from '../progress.ts';
import { outcome } from './outcome.ts';
import { until } from './proof.ts';

const PACKAGES = ['podman', 'runc', 'buildah', 'netavark', 'aardvark-dns', 'iptables', 'debootstrap'];

/** A container engine of our own: its images, containers, networks and socket lie in folders of the project's. */
export interface Podman extends AsyncDisposable {
  readonly socketPath: string;
  /** What a program needs in its environment to reach this engine by Docker's API. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  /** `podman ARGS` or `buildah ARGS` on this engine's storage. */
  readonly command: (program: 'podman' | 'buildah', args: readonly string[]) => Command;
}

/** Installs an engine where there is none (root, Debian) and starts its service. Disposing ends it and its containers. */
export async function startPodman(log: Log): Promise<Podman> {
  if (process.getuid?.() !== 0) throw new Error('this needs root: it installs and runs a container engine with networks of its own');
  await install(log);
  const folder = join(runRoot(), 'containers');
  await mkdir(folder, { recursive: true });
  const env = { ...(await settings(folder)), DISABLE_HC_SYSTEMD: 'true' };
  const command: Podman['command'] = (file, args) => ({ file, args, env });
  const socketPath = join(folder, 'podman.sock');
  await rm(socketPath, { force: true });
  await tidy(command);
  const output = openSync(join(folder, 'podman.log'), 'a');
  // Should this process be killed, the service ends by itself when nobody has asked anything for ten minutes.
  const { file, args } = command('podman', ['system', 'service', '--time=600', `unix://${socketPath}`]);
  const service = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
  const ended = once(service, 'exit');
  await until('an answer of the engine', 20, async () => {
    if (service.exitCode !== null) throw new Error(`podman ended with ${service.exitCode}; see ${folder}/podman.log`);
    return (await call(socketPath, 'GET', '/_ping', 2000)).status === 200 ? true : undefined;
  });
  return {
    socketPath,
    clientEnvironment: { DOCKER_HOST: `unix://${socketPath}` },
    command,
    [Symbol.asyncDispose]: async () => {
      await tidy(command);
      service.kill('SIGTERM');
      await ended;
    },
  };
}

/** Removes all containers, networks and volumes of this engine, perhaps those of a run that was killed; images stay. */
async function tidy(command: Podman['command']): Promise<void> {
  await run(command('podman', ['rm', '--all', '--force', '--volumes', '--time', '5']));
  await run(command('podman', ['network', 'prune', '--force']));
  await run(command('podman', ['volume', 'prune', '--force']));
}

const apt = (...args: string[]) => run({ file: 'apt-get', args: ['-y', ...args], env: { DEBIAN_FRONTEND: 'noninteractive' } });

async function install(log: Log): Promise<void> {
  if (!existsSync('/usr/bin/apt-get')) throw new Error('this installs a container engine from Debian packages, and here is no apt-get');
  const states = await Promise.all(
    PACKAGES.map((name) => outcome({ file: 'dpkg-query', args: ['--show', '--showformat=${db:Status-Status}', name] })),
  );
  const missing = PACKAGES.filter((_, at) => states[at]?.output !== 'installed');
  if (missing.length === 0) return;
  log(`installing ${missing.join(', ')}`);
  await withProgress(
    log,
    () => 'installing the engine',
    async () => {
      await apt('update');
      await apt('install', '--no-install-recommends', ...PACKAGES);
    },
  );
}

/** Settings that work where neither systemd nor a delegated cgroup is there; the machine's own are left as they are. */
async function settings(folder: string): Promise<Record<string, string>> {
  const paths = { CONTAINERS_CONF: join(folder, 'containers.conf'), CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf') };
  await writeFile(
    paths.CONTAINERS_CONF,
    [
      '[containers]',
      // The defaults are above what a process without that capability may ask for.
      'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]',
      '[engine]',
      // crun refuses a machine with both kinds of cgroups.
      'runtime = "runc"',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      '[network]',
      'network_backend = "netavark"',
      `network_config_dir = "${join(folder, 'networks')}"`,
      '',
    ].join('\n'),
  );
  await writeFile(
    paths.CONTAINERS_STORAGE_CONF,
    `[storage]\ndriver = "overlay"\ngraphroot = "${join(cacheRoot(), 'containers')}"\nrunroot = "${join(folder, 'run')}"\n`,
  );
  return paths;
}
