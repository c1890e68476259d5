/** `npm run containers`: proves the Dockerfile, docker-compose.yml and the container way of `stack/` on a real engine. */
import { parseArgs } from 'node:util';

import { withLock } from '../cache.ts';
import type { Log } from '../progress.ts';
import { assemble, assembleBase } from './assemble.ts';
import { proveCompose } from './compose.ts';
import type { Podman } from './podman.ts';
import { startPodman } from './podman.ts';
import { proveProduct } from './product.ts';
import { Proof } from './proof.ts';
import { standIns } from './stand-ins.ts';
import { proveStack } from './testcontainers.ts';

const USAGE = `usage: npm run containers -- [PART …]

Needs root and Debian: installs podman and its parts where they are missing, assembles images that stand in for the
official ones (no registry of images is asked; what they hold instead is said), and proves with them:
  product          the Dockerfile: builds, small, not root, read-only, its commands run
  compose          docker-compose.yml: healthy in order, rows flow, survives a kill -9, drains
  testcontainers   the container way of stack/, for each server
All three without a PART. Exit code 0 when everything passed, 1 when something failed, 2 for usage, 4 when it cannot run.`;

const PARTS: Readonly<Record<string, (podman: Podman, proof: Proof, log: Log) => Promise<void>>> = {
  product: proveProduct,
  compose: proveCompose,
  testcontainers: proveStack,
};

const log: Log = (line) => process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean' } } });
  if (values.help) return (log(USAGE), 0);
  const unknown = positionals.filter((part) => !(part in PARTS));
  if (unknown.length > 0) return (log(`unknown part: ${unknown.join(', ')}\n\n${USAGE}`), 2);
  const proof = new Proof(log);
  // Images, networks and the engine's socket are one set: two runs at a time would take them from each other.
  await withLock('containers', log, async () => {
    await using podman = await startPodman(log);
    log('images (they stand in for the official ones, and only here):');
    await proof.claim('the base image is assembled', () => assembleBase(podman));
    for (const standIn of standIns) await proof.claim(`${standIn.image} is assembled`, () => assemble(podman, standIn, log));
    for (const [part, prove] of Object.entries(PARTS)) {
      if (positionals.length > 0 && !positionals.includes(part)) continue;
      log(`${part}:`);
      await prove(podman, proof, log);
    }
  });
  log(`\n${proof.report()}`);
  return proof.hasFailed ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  log(error instanceof Error ? error.message : String(error));
  process.exitCode = 4;
}
