import { connect } from 'node:net';

import { unpackPackages } from './apt.ts';
import type { Command } from './command.ts';
import { installed, inTree } from './program.ts';
import type { Place, Recipe } from './server.ts';

const DURABILITY = { '--appendonly': 'yes', '--appendfsync': 'everysec', '--maxmemory-policy': 'noeviction' };

async function redisServer(place: Place, args: readonly string[]): Promise<Command> {
  const own = installed('/usr/bin/redis-server', '/usr/local/bin/redis-server');
  if (own) return { file: own, args };
  const without = /^(perl|libperl|libgdbm|libdb5|gcc-|libsystemd-shared|systemd|adduser|passwd|init-system|sysvinit|lsb-base)/;
  const tree = await unpackPackages({ name: 'redis', suite: 'own', packages: ['redis-server'], without }, place.log);
  // Debian's /usr/bin/redis-server is a link to this program, which is server and checker in one by its name.
  return inTree(tree, 'usr/bin/redis-server', args);
}

/** Redis with an append-only file; no password, this machine only. */
export const redis: Recipe = {
  name: 'redis',
  url: (port) => `redis://127.0.0.1:${port}`,
  initialise: async () => undefined,
  command: (place) => {
    const settings: Record<string, string> = {
      '--port': String(place.port),
      '--bind': '127.0.0.1',
      '--dir': place.data,
      ...DURABILITY,
      // Its title would hide the folder that the pid file is checked against.
      '--set-proc-title': 'no',
      '--daemonize': 'no',
    };
    return redisServer(place, [...Object.entries(settings).flat(), ...place.extraArgs]);
  },
  ask: async (url) => {
    const { hostname, port } = new URL(url);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port) }, () => socket.write('PING\r\n'));
      socket.setTimeout(2000, () => socket.destroy(new Error('redis does not answer')));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('redis closed the connection')));
      socket.once('data', (chunk: Buffer) => {
        resolve(chunk.toString());
        socket.destroy();
      });
    });
    // While it loads its file it answers "-LOADING"; behind a password "-NOAUTH", which is alive enough.
    if (!/^(\+PONG|-NOAUTH)/.test(answer)) throw new Error('redis is not ready');
  },
  stopSignal: 'SIGTERM',
  container: {
    image: 'redis:8',
    port: 6379,
    environment: () => ({}),
    // Without this Redis refuses whatever comes from outside its container.
    command: (extraArgs) => ['redis-server', '--protected-mode', 'no', ...Object.entries(DURABILITY).flat(), ...extraArgs],
  },
};
