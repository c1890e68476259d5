import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';

import type { Log } from './progress.ts';
import { withProgress } from './progress.ts';

const ANSWER_MS = 2000;
const SILENCE_MS = 20_000;
const PULL_MS = 300_000;
const BODY_CHARACTERS = 500_000;

/** A container engine's socket that answered, or why there is none. */
export type Engine = { readonly socketPath: string } | { readonly missing: string };

let found: Promise<Engine> | undefined;

/** Looks for a local engine once per process; a client without an engine behind it counts as none. */
export function findEngine(): Promise<Engine> {
  found ??= probe();
  return found;
}

async function probe(): Promise<Engine> {
  if (process.env['CROSSFADE_STACK_CONTAINERS'] === '0') return { missing: 'CROSSFADE_STACK_CONTAINERS=0 leaves them aside' };
  const host = process.env['DOCKER_HOST'];
  if (host && !host.startsWith('unix://')) return { missing: 'DOCKER_HOST is on another machine, where ports of this one mean nothing' };
  const paths = host ? [host.slice('unix://'.length)] : usualSockets();
  const there = paths.filter((path) => existsSync(path));
  for (const socketPath of there) {
    const status = await call(socketPath, 'GET', '/_ping', ANSWER_MS).catch(() => undefined);
    if (status?.status === 200) return { socketPath };
  }
  return { missing: there.length === 0 ? 'no engine is installed (no socket of one)' : `no engine answers at ${there.join(' or ')}` };
}

function usualSockets(): string[] {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const own = join(homedir(), '.docker');
  return [
    '/var/run/docker.sock',
    join(own, 'run', 'docker.sock'),
    join(own, 'desktop', 'docker.sock'),
    ...(runtime ? [join(runtime, 'docker.sock')] : []),
  ];
}

/** Makes sure that the engine holds `image`, pulling it if need be. Rejects, within bounded time, when it cannot be had. */
export async function ensureImage(socketPath: string, image: string, log: Log): Promise<void> {
  const present = await call(socketPath, 'GET', `/images/${image}/json`, 5000);
  if (present.status === 200) return;
  const [name = '', tag = 'latest'] = image.split(':');
  const path = `/images/create?fromImage=${encodeURIComponent(name)}&tag=${encodeURIComponent(tag)}`;
  const answer = await withProgress(
    log,
    () => `${image}: pulling`,
    () => call(socketPath, 'POST', path, PULL_MS),
  );
  // A pull that fails on the way still answers 200; the reason is the last object of the stream.
  const failure = /"error":"((?:[^"\\]|\\.)*)"/.exec(answer.body)?.[1] ?? (answer.status === 200 ? undefined : `status ${answer.status}`);
  if (failure !== undefined) throw new Error(`the image ${image} is not there and cannot be pulled: ${failure}`);
}

/** One request to the engine's API; the answer's body is cut to its last half a million characters. */
export async function call(
  socketPath: string,
  method: string,
  path: string,
  deadlineMs: number,
): Promise<{ status: number; body: string }> {
  const signal = AbortSignal.timeout(deadlineMs);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath, method, path, signal, timeout: Math.min(deadlineMs, SILENCE_MS) }, resolve);
    sent.once('timeout', () => sent.destroy(new Error(`the engine has been silent for ${SILENCE_MS / 1000} s`)));
    sent.once('error', reject);
    sent.end();
  });
  let body = '';
  for await (const chunk of response) body = (body + String(chunk)).slice(-BODY_CHARACTERS);
  return { status: response.statusCode ?? 0, body };
}
