/** The product as a person runs it: `crossfade run` as a child process, watched from Postgres. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Client } from 'pg';

import { changesOf, type DataSet } from './data-set.ts';
import { cpuUsOf, peakRssMbOf } from './process-meter.ts';

const program = fileURLToPath(new URL('../bin/crossfade', import.meta.url));

export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** Rejects when the program ends before it is told to. */
  readonly failed: Promise<never>;
}

/** Starts `crossfade run` in `folder`; disposing stops it in order. */
export function startCrossfade(folder: string): Running {
  const logPath = join(folder, 'crossfade.log');
  const log = openSync(logPath, 'a');
  const child = spawn(program, ['run'], { cwd: folder, stdio: ['ignore', log, log] });
  closeSync(log);
  let isStopping = false;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const failed = ended.then(() => {
    if (isStopping) return new Promise<never>(() => undefined);
    throw new Error(
      `crossfade ended with ${child.exitCode ?? child.signalCode}; the end of its log:\n${readFileSync(logPath, 'utf8').slice(-3000)}`,
    );
  });
  failed.catch(() => undefined); // Met by whoever races against it.
  return {
    pid: child.pid ?? 0,
    failed,
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(deadline);
    },
  };
}

export interface EndToEnd {
  /** From the first visible row to the last, without the changes that were visible at the first look. */
  readonly changesPerSecond: number;
  readonly cpuUsPerChange: number;
  readonly rssMb: number;
  /** From the process's start to the first visible row. */
  readonly firstRowSeconds: number;
}

const deadlineSeconds = 300;

export async function runEndToEnd(folder: string, client: Client, set: DataSet): Promise<EndToEnd> {
  const startedMs = performance.now();
  await using running = startCrossfade(folder);
  const count = async (where: string) =>
    Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${set.table} WHERE ${where}`)).rows[0]?.n);
  const until = async (where: string): Promise<number> => {
    for (;;) {
      const found = await Promise.race([count(where), running.failed]);
      if (found > 0) return found;
      if (performance.now() - startedMs > deadlineSeconds * 1000) throw new Error(`not done after ${deadlineSeconds} s`);
      await sleep(10);
    }
  };
  // Rows, not changes: with updates behind them this leaves a few changes uncounted at the start, never one too many.
  const firstRows = await until('true');
  const firstMs = performance.now();
  const cpuBefore = cpuUsOf(running.pid);
  await until(`id = ${set.counts.lastKey}`);
  const seconds = (performance.now() - firstMs) / 1000;
  const changes = changesOf(set) - firstRows;
  return {
    changesPerSecond: changes / seconds,
    cpuUsPerChange: (cpuUsOf(running.pid) - cpuBefore) / changes,
    rssMb: peakRssMbOf(running.pid),
    firstRowSeconds: (firstMs - startedMs) / 1000,
  };
}
