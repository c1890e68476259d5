import { unpackPackages } from './apt.ts';
import type { Command } from './command.ts';
import { installed, inTree } from './program.ts';
import type { Log } from './progress.ts';

/** Prometheus's own checker of rules: `promtool check rules`, `promtool test rules`. Unpacked into the cache where it is not installed. */
export async function promtool(args: readonly string[], log: Log): Promise<Command> {
  const own = installed('/usr/bin/promtool', '/usr/local/bin/promtool');
  if (own) return { file: own, args };
  // One Go program that needs the C library; the rest is for the server's pages and for the system it is installed into.
  const without = /^(adduser|passwd|fonts-|libjs-|perl|lib(?!c6_)|init-system|sysvinit|lsb-base|node-|javascript-|debconf)/;
  const tree = await unpackPackages({ name: 'promtool', suite: 'own', packages: ['prometheus'], without }, log);
  return inTree(tree, 'usr/bin/promtool', args);
}
