import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { freePort, serverPortRange } from '../../stack/ports.ts';
import { commandLineNames, isOurs, runningPid, signalTree, startDetached } from '../../stack/process.ts';
import { javaTrustStore } from '../../stack/trust-store.ts';

test('a command line names a folder as a whole, not as the beginning of another', () => {
  expect(commandLineNames(line('mysqld', '--datadir=/run/a/mysql/data'), '/run/a/mysql')).toBe(true);
  expect(commandLineNames(line('postgres', '-D', '/run/a/pg'), '/run/a/pg')).toBe(true);
  expect(commandLineNames(line('mysqld', '--datadir=/run/a/mysql-2/data'), '/run/a/mysql')).toBe(false);
  expect(commandLineNames(line('mysqld', '--datadir=/run/b/mysql'), '/run/a/mysql')).toBe(false);
  expect(commandLineNames('', '/run/a/mysql')).toBe(false);
});

test('a pid that now belongs to a stranger is neither running nor killed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-process-'));
  const stranger = spawn('sleep', ['60']);
  await once(stranger, 'spawn');
  try {
    await writeFile(join(folder, 'pid'), `${stranger.pid}\n`);
    expect(runningPid(folder)).toBeUndefined();
    await signalTree(stranger.pid ?? 0, folder, 'SIGKILL');
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    expect(isOurs(1, folder)).toBe(false);
  } finally {
    stranger.kill('SIGKILL');
    await rm(folder, { recursive: true });
  }
});

test('SIGKILL reaches the children that a server started, and resolves when all are gone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-process-'));
  try {
    const script = 'sleep 61 & echo $! > "$1/child"; wait';
    const pid = await startDetached({ file: 'sh', args: ['-c', script, 'sh', folder] }, folder);
    await expect.poll(() => childPid(folder)).toBeGreaterThan(1);
    const child = childPid(folder);
    expect(runningPid(folder)).toBe(pid);
    await signalTree(pid, folder, 'SIGKILL');
    expect(runningPid(folder)).toBeUndefined();
    expect(stateOf(child)).toMatch(/^(gone|Z)$/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("servers' ports lie below the kernel's range for outgoing connections", () => {
  expect(serverPortRange('32768\t60999\n')).toEqual({ first: 20_768, last: 32_767 });
  expect(serverPortRange('')).toEqual({ first: 20_768, last: 32_767 });
  expect(serverPortRange('1024 65535')).toEqual({ first: 20_768, last: 32_767 });
});

test('free ports can be bound and are given once', async () => {
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  expect(new Set(ports).size).toBe(3);
  const server = createServer().listen(ports[0], '127.0.0.1');
  await once(server, 'listening');
  server.close();
});

test('a trust store carries its certificates and the digest that Java checks', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n';
  const store = javaTrustStore(`${pem}${pem}`);
  expect(store.readUInt32BE(0)).toBe(0xfeedfeed);
  expect(store.readUInt32BE(8)).toBe(2);
  expect(store.length).toBe(12 + 2 * (4 + 6 + 8 + 7 + 4 + 3) + 20);
});

/** What `/proc/PID/cmdline` holds for these arguments. */
function line(...args: string[]): string {
  return `${args.join('\0')}\0`;
}

function childPid(folder: string): number {
  try {
    return Number(readFileSync(join(folder, 'child'), 'utf8'));
  } catch {
    return 0; // Not written yet.
  }
}

function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  } catch {
    return 'gone';
  }
}
