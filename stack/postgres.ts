import { chown } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { Client } from 'pg';

import { unpackPackages } from './apt.ts';
import { stagedForOthers } from './cache.ts';
import type { Command } from './command.ts';
import { run } from './command.ts';
import { installed, inTree } from './program.ts';
import type { Log } from './progress.ts';
import { withProgress } from './progress.ts';
import type { Recipe } from './server.ts';

const OLDEST_VERSION = 13;

const SETTINGS = ['max_connections=300', 'fsync=on', 'wal_level=logical', 'jit=off', 'timezone=GMT', 'log_timezone=GMT'];

async function program(name: 'initdb' | 'postgres', args: readonly string[], log: Log): Promise<Command> {
  const machines = installed('/usr/lib/postgresql');
  const own = machines === undefined ? undefined : newestVersion(machines);
  const user = serverUser();
  if (own) return { file: `${own}/bin/${name}`, args, ...user };
  const tree = await unpackPackages({ name: 'postgres', suite: 'own', packages: ['postgresql'], without: UNUSED }, log);
  const root = user.uid === undefined ? tree.root : await stagedForOthers(tree.root, log);
  const version = newestVersion(join(root, 'usr/lib/postgresql'));
  if (version === undefined) throw new Error(`the packages hold no postgres of version ${OLDEST_VERSION} or newer`);
  return { ...inTree({ ...tree, root }, `${relative(root, version)}/bin/${name}`, args), ...user };
}

/** The closure's scripts, their interpreter and the just-in-time compiler, none of which a test server needs. */
const UNUSED =
  /^(perl|libperl|libgdbm|libdb5|gcc-|libllvm|llvm|libz3|systemd|libsystemd-shared|dpkg|debconf|ssl-cert|postgresql-common|postgresql-client-common|adduser|passwd|coreutils|openssl_)/;

/** Postgres refuses root, so as root it runs as the user that a Debian package made for it, or as nobody. */
function serverUser(): { uid: number; gid: number; cwd: string } | { cwd: string; uid?: never } {
  if (process.getuid?.() !== 0) return { cwd: '/' };
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find((fields) => fields[0] === 'postgres') ?? users.find((fields) => fields[0] === 'nobody');
  return { uid: Number(user?.[2] ?? 65_534), gid: Number(user?.[3] ?? 65_534), cwd: '/' };
}

function newestVersion(folder: string): string | undefined {
  try {
    const versions = readdirSync(folder).filter(
      (name) => Number(name) >= OLDEST_VERSION && readdirSync(join(folder, name, 'bin')).includes('initdb'),
    );
    const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
    return newest === undefined ? undefined : join(folder, newest);
  } catch {
    return undefined; // None is installed here.
  }
}

/** Postgres with durable commits; the superuser `postgres` is let in from this machine without a password. */
export const postgres: Recipe = {
  name: 'postgres',
  url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
  initialise: async (place) => {
    const { uid, gid } = serverUser() as { uid?: number; gid?: number };
    if (uid !== undefined && gid !== undefined) await chown(place.data, uid, gid);
    const args = ['-D', place.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-instructions', '--no-sync'];
    const command = await program('initdb', args, place.log);
    await withProgress(
      place.log,
      () => 'postgres: filling its data folder',
      () => run(command),
    );
  },
  command: (place) => {
    const settings = ['listen_addresses=127.0.0.1', `port=${place.port}`, 'unix_socket_directories=', ...SETTINGS];
    return program('postgres', ['-D', place.data, ...settings.flatMap((setting) => ['-c', setting]), ...place.extraArgs], place.log);
  },
  ask: async (url) => {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
    // A server that dies at this very moment must be a failed question, not an uncaught event.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
    } finally {
      await client.end().catch(() => undefined);
    }
  },
  stopSignal: 'SIGINT',
  container: {
    image: 'postgres:17',
    port: 5432,
    environment: () => ({ POSTGRES_HOST_AUTH_METHOD: 'trust' }),
    command: (extraArgs) => ['postgres', ...SETTINGS.flatMap((setting) => ['-c', setting]), ...extraArgs],
  },
};
