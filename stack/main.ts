import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { runRoot, withLock } from './cache.ts';
import { endAllIn } from './process.ts';
import type { ServerName } from './server.ts';
import { SERVER_NAMES } from './server.ts';
import type { StackDescription } from './stack.ts';
import { keepStack, openStack } from './stack.ts';

const USAGE = `usage: npm run stack -- up [SERVER ...] | down [SERVER ...] | status | urls [--json]

  up      starts servers and leaves them running: ${SERVER_NAMES.join(', ')} (mysql, postgres and redis when none is named)
  down    stops them, or those named, and removes their data
  status  says what runs and where its data and log are
  urls    prints their URLs, with --json as one object`;

const log = (line: string) => process.stderr.write(`${line}\n`);

async function up(names: readonly string[]): Promise<number> {
  const servers = names.length > 0 ? names.filter(isServerName) : (['mysql', 'postgres', 'redis'] as const);
  return await withLock('up', log, async () => {
    const stack = await keepStack(folder(), { servers, log });
    await writeFile(stateFile(), JSON.stringify({ ...state(), ...stack.description }));
    for (const [name, url] of Object.entries(stack.urls)) process.stdout.write(`${name.padEnd(9)} ${url}\n`);
    return 0;
  });
}

async function down(names: readonly string[]): Promise<number> {
  return await withLock('up', log, async () => {
    const wanted = Object.values(openStack(state()).servers).filter(({ name }) => names.length === 0 || names.includes(name));
    for (const server of wanted) {
      await server[Symbol.asyncDispose]();
      log(server.via === 'url' ? `${server.name}: not ours to stop` : `${server.name}: stopped, its data removed`);
    }
    const left = Object.entries(state()).filter(([name]) => !wanted.some((server) => server.name === name));
    await writeFile(stateFile(), JSON.stringify(Object.fromEntries(left)));
    if (names.length > 0) return 0;
    // An `up` that was interrupted may have started more than it wrote down.
    await endAllIn(folder());
    await rm(folder(), { recursive: true, force: true });
    return 0;
  });
}

function status(): number {
  const servers = Object.values(openStack(state()).servers);
  if (servers.length === 0) log('nothing is up');
  for (const { name, via, url, pid, dataDir } of servers) {
    const what = via === 'native' ? (pid === undefined ? 'down' : `runs as ${pid}`) : `by ${via}`;
    process.stdout.write(`${name.padEnd(9)} ${what.padEnd(16)} ${url}${dataDir === undefined ? '' : `  ${dataDir}`}\n`);
  }
  return servers.every(({ via, pid }) => via !== 'native' || pid !== undefined) ? 0 : 1;
}

function urls(json: boolean): number {
  const found = openStack(state()).urls;
  if (json) process.stdout.write(`${JSON.stringify(found)}\n`);
  else for (const [name, url] of Object.entries(found)) process.stdout.write(`CROSSFADE_TEST_${name.toUpperCase()}_URL=${url}\n`);
  return 0;
}

function folder(): string {
  return join(runRoot(), 'up');
}

function stateFile(): string {
  return join(folder(), 'stack.json');
}

function state(): StackDescription {
  return existsSync(stateFile()) ? (JSON.parse(readFileSync(stateFile(), 'utf8')) as StackDescription) : {};
}

function isServerName(name: string): name is ServerName {
  return SERVER_NAMES.some((known) => known === name);
}

function usage(problem: string): number {
  log(`${problem}\n\n${USAGE}`);
  return 2;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' }, help: { type: 'boolean' } } });
  const [command, ...rest] = positionals;
  if (values.help) return (log(USAGE), 0);
  await mkdir(folder(), { recursive: true, mode: 0o755 });
  const unknown = rest.filter((name) => !isServerName(name));
  if (unknown.length > 0) return usage(`unknown server: ${unknown.join(', ')}`);
  if (command === 'up') return await up(rest);
  if (command === 'down') return await down(rest);
  if (command === 'status') return status();
  if (command === 'urls') return urls(values.json ?? false);
  return usage(command === undefined ? 'say what to do' : `unknown command: ${command}`);
}

try {
  process.exitCode = await main();
} catch (error) {
  log(error instanceof Error ? error.message : String(error));
  process.exitCode = 4;
}
