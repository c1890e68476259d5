import { call } from '../engine.ts';
import type { Log } from '../progress.ts';
import type { Server, ServerName } from '../server.ts';
import { SERVER_NAMES } from '../server.ts';
import { startStack } from '../stack.ts';
import { urlVariable } from '../url.ts';
import type { Podman } from './podman.ts';
import type { Proof } from './proof.ts';
import { must } from './proof.ts';

/** Starts each server by the container way of `stack/`, as a test on a machine with an engine would. */
export async function proveStack(podman: Podman, proof: Proof, log: Log): Promise<void> {
  // The image of testcontainers' own cleaner cannot be had here; what it would clean is looked at below.
  Object.assign(process.env, podman.clientEnvironment, { TESTCONTAINERS_RYUK_DISABLED: 'true' });
  for (const name of SERVER_NAMES) {
    delete process.env[urlVariable(name)];
    await proof.claim(`${name} through testcontainers: starts, serves, is killed, comes back, leaves nothing`, () =>
      prove(podman, name, log),
    );
  }
}

async function prove(podman: Podman, name: ServerName, log: Log): Promise<string> {
  const before = await containers(podman);
  const startedMs = Date.now();
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(1);
  let readySeconds = '';
  {
    await using stack = await startStack({ servers: [name], log, isPrivate: true });
    const server: Server = stack.servers[name];
    must(server.via === 'container', `it came ${server.via}`);
    readySeconds = seconds();
    must((await containers(podman)) === before + 1, 'no container was added');
    must(
      (await openPorts(podman)).every((ip) => ip === '127.0.0.1'),
      `a port is open at ${(await openPorts(podman)).join(', ')}`,
    );
    // The same address afterwards: what was given out must stay good.
    await server.kill('SIGKILL');
    await server.start();
    await server.restart();
  }
  const left = (await containers(podman)) - before;
  must(left === 0, `${left} containers are left`);
  return `ready after ${readySeconds} s, killed and restarted until ${seconds()} s`;
}

async function containers({ socketPath }: Podman): Promise<number> {
  const { body } = await call(socketPath, 'GET', '/containers/json?all=true', 10_000);
  return (JSON.parse(body) as unknown[]).length;
}

async function openPorts({ socketPath }: Podman): Promise<string[]> {
  const { body } = await call(socketPath, 'GET', '/containers/json', 10_000);
  const running = JSON.parse(body) as { Ports: readonly { IP?: string; PublicPort?: number }[] | null }[];
  return running.flatMap(({ Ports }) => (Ports ?? []).flatMap(({ IP = '', PublicPort }) => (PublicPort === undefined ? [] : [IP])));
}
