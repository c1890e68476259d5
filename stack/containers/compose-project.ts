import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { unpackPackages } from '../apt.ts';
import type { Command } from '../command.ts';
import { run } from '../command.ts';
import { freePort } from '../ports.ts';
import type { Log } from '../progress.ts';
import type { Podman } from './podman.ts';

const PORTS = ['MYSQL_PORT', 'KAFKA_PORT', 'POSTGRES_PORT', 'REDIS_PORT', 'CROSSFADE_PORT'] as const;
type PortVariable = (typeof PORTS)[number];

/** A copy of docker-compose.yml and what it names, with passwords and ports of its own. Disposing removes the folder. */
export interface ComposeProject extends AsyncDisposable {
  readonly name: string;
  readonly ports: Readonly<Record<PortVariable, number>>;
  /** The passwords, by the name of their file. */
  readonly secrets: ReadonlyMap<string, string>;
  /** `docker compose ARGS` in the folder of the copy. */
  readonly compose: (...args: string[]) => Command;
  /** A shell in that folder for a line as the guide has it, where `docker compose` is the same program. */
  readonly shell: (line: string) => Command;
  /** What the engine says of a service's container. */
  readonly inspect: (service: string) => Promise<ContainerFacts>;
}

interface ContainerFacts {
  readonly Name: string;
  readonly RestartCount: number;
  readonly State: { readonly Status: string; readonly Pid: number; readonly ExitCode: number; readonly StartedAt: string };
  readonly NetworkSettings: { readonly Ports: Readonly<Record<string, readonly { readonly HostIp: string }[] | null>> };
}

/** Copies the project and makes its passwords with the command that a newcomer is told. */
export async function openComposeProject(podman: Podman, logKind: 'kafka' | 'embedded', log: Log): Promise<ComposeProject> {
  const program = await composeProgram(log);
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-compose-'));
  const root = fileURLToPath(new URL('../..', import.meta.url));
  await cp(join(root, 'docker-compose.yml'), join(folder, 'docker-compose.yml'));
  await cp(join(root, 'deploy/compose'), join(folder, 'deploy/compose'), {
    recursive: true,
    filter: (path) => !path.endsWith('/secrets'), // Those of a person's own trial are not ours to read.
  });
  if (logKind === 'embedded') await withoutKafka(join(folder, 'deploy/compose/crossfade.yaml'));
  await run({ file: 'sh', args: ['deploy/compose/secrets.sh'], cwd: folder });
  const kept = join(folder, 'deploy/compose/secrets');
  const names = await readdir(kept);
  const secrets = new Map(await Promise.all(names.map(async (file) => [file, await readFile(join(kept, file), 'utf8')] as const)));
  const numbers = await Promise.all(PORTS.map(() => freePort()));
  const ports = Object.fromEntries(PORTS.map((variable, at) => [variable, numbers[at] ?? 0])) as Record<PortVariable, number>;
  const name = `crossfade-proof-${logKind}-${process.pid}`;
  const variables = Object.fromEntries(Object.entries(ports).map(([variable, port]) => [variable, String(port)]));
  const env = { ...podman.clientEnvironment, ...variables, COMPOSE_PROJECT_NAME: name };
  return {
    name,
    ports,
    secrets,
    compose: (...args) => ({ file: program, args, cwd: folder, env }),
    shell: (line) => ({ file: 'sh', args: ['-c', `docker() { shift; "${program}" "$@"; }\n${line}`], cwd: folder, env }),
    inspect: async (service) => {
      const text = await run(podman.command('podman', ['inspect', `${name}-${service}-1`]));
      const [facts] = JSON.parse(text) as ContainerFacts[];
      if (!facts) throw new Error(`no container of ${service}`);
      return facts;
    },
    [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true, force: true }),
  };
}

/** The other line that the file itself offers. */
async function withoutKafka(path: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const changed = text.replace(/^log: .*kafka.*$/m, 'log: embedded');
  if (changed === text) throw new Error(`${path} has no line with Kafka as the log`);
  await writeFile(path, changed);
}

/** Compose of Docker's second generation: this machine's plugin, or Debian's, which runs without Docker. */
async function composeProgram(log: Log): Promise<string> {
  const plugin = 'libexec/docker/cli-plugins/docker-compose';
  const own = ['/usr', '/usr/local'].map((prefix) => join(prefix, plugin)).find((path) => existsSync(path));
  if (own !== undefined) return own;
  const tree = await unpackPackages(
    { name: 'docker-compose', suite: 'sid', packages: ['docker-compose'], without: /^(?!docker-compose_)/ },
    log,
  );
  return join(tree.root, 'usr', plugin);
}
