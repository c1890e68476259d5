import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Command } from './command.ts';
import { spawnOptions } from './command.ts';

/** Starts a server in a session of its own, its output in `folder/log`, its pid in `folder/pid`. Returns the pid. */
export async function startDetached(command: Command, folder: string): Promise<number> {
  const log = openSync(join(folder, 'log'), 'a');
  try {
    const child = spawn(command.file, command.args, { ...spawnOptions(command), detached: true, stdio: ['ignore', log, log] });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => resolve(child.pid ?? 0));
    });
    child.unref();
    writeFileSync(join(folder, 'pid'), `${pid}\n`);
    return pid;
  } finally {
    closeSync(log);
  }
}

/** The pid of the server that lives in `folder`, or undefined when it does not run. */
export function runningPid(folder: string): number | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  } catch {
    return undefined; // Never started, or stopped and tidied.
  }
  return isOurs(pid, folder) ? pid : undefined;
}

/** Whether the process `pid` is alive and is the server of `folder`: pids are used again, and a stranger must not be killed. */
export function isOurs(pid: number, folder: string): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    if (processState(pid) === 'Z') return false;
    return commandLineNames(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), folder);
  } catch {
    return false; // No such process.
  }
}

/** Whether a `/proc/PID/cmdline` (arguments ended by NUL) has an argument that names `folder` or something in it. */
export function commandLineNames(cmdline: string, folder: string): boolean {
  return cmdline.split('\0').some((argument) => {
    const at = argument.indexOf(folder);
    if (at === -1) return false;
    const next = argument[at + folder.length];
    return next === undefined || next === '/';
  });
}

/** Sends a signal to a server and to all processes it started; resolves once they are gone when the signal ends processes. */
export async function signalTree(pid: number, folder: string, signal: NodeJS.Signals, deadlineMs = 30_000): Promise<void> {
  if (!isOurs(pid, folder)) return;
  // Only a kill has to reach the children: a server asked to stop stops its own, and one that is frozen serves nobody.
  const children = signal === 'SIGKILL' || signal === 'SIGSTOP' || signal === 'SIGCONT' ? descendants(pid) : [];
  for (const target of [pid, ...children]) sendQuietly(target, signal);
  if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
  const untilMs = Date.now() + deadlineMs;
  while (isOurs(pid, folder) || children.some((child) => isAlive(child))) {
    if (Date.now() > untilMs) {
      if (signal === 'SIGKILL') throw new Error(`process ${pid} of ${folder} survived SIGKILL for ${deadlineMs} ms`);
      return await signalTree(pid, folder, 'SIGKILL');
    }
    await sleep(10);
  }
  rmSync(join(folder, 'pid'), { force: true });
}

/** Ends every process, however far it got, whose command line names `folder`: servers, and programs that fill their data. */
export async function endAllIn(folder: string): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const alive = pids().filter((pid) => pid !== process.pid && isOurs(pid, folder) && !isGuard(pid));
    if (alive.length === 0) return;
    for (const pid of alive) for (const target of [pid, ...descendants(pid)]) sendQuietly(target, 'SIGKILL');
    await sleep(20);
  }
}

/** Whether a process of this number exists, whosever it is. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Whether any process, a guard included, has `folder` in its command line. */
export function anyProcessNames(folder: string): boolean {
  return pids().some((pid) => pid !== process.pid && isOurs(pid, folder));
}

function isGuard(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('guard.ts');
  } catch {
    return false; // Gone meanwhile.
  }
}

function pids(): number[] {
  // Where there is no /proc no server runs natively either.
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function sendQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Gone between the look and the signal, which is what the signal was for; anything else is a real failure.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return processState(pid) !== 'Z';
  } catch {
    return false; // No such process.
  }
}

/** Field three of `/proc/PID/stat`; the name before it is in parentheses and may itself hold blanks and parentheses. */
function processState(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
}

function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const candidate of pids()) {
    try {
      const stat = readFileSync(`/proc/${candidate}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), candidate]);
    } catch {
      // The process ended while the table was read.
    }
  }
  const found: number[] = [];
  for (const queue = [pid]; queue.length > 0;) {
    const below = children.get(queue.pop() ?? 0) ?? [];
    found.push(...below);
    queue.push(...below);
  }
  return found;
}
