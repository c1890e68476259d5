/** The product as a person runs it: `crossfade run` as a child process, watched from Postgres. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Client } from 'pg';

import type { Server } from '../stack/server.ts';
import { changesOf, type DataSet } from './data-set.ts';
import { cpuUsOf, peakRssMbOf } from './process-meter.ts';

const program = fileURLToPath(new URL('../bin/crossfade', import.meta.url));

export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** Rejects when the program ends before it is told to. */
  readonly failed: Promise<never>;
  /** Whether its log has these words. */
  said(words: string): boolean;
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
    said: (words) => readFileSync(logPath, 'utf8').includes(words),
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(deadline);
    },
  };
}

/** The whole way of a backlog that was there before: from the first byte that is captured to the last change's visibility. */
export interface EndToEnd {
  /** All changes of the set, between the last look at which capture did not stream yet and the first that finds the last one. */
  readonly changesPerSecond: number;
  /** A change, over the same time. */
  readonly cpuUs: Readonly<Record<ProcessName, number>>;
  readonly rssMb: number;
  /** From the clock's start to the first visible row. */
  readonly firstRowSeconds: number;
}

/** Everything that works on the way but the target, whose backends are metered one by one. */
type ProcessName = 'crossfade' | 'source' | 'broker';

export interface Backlog {
  /** With crossfade.yaml. */
  readonly folder: string;
  readonly client: Client;
  readonly set: DataSet;
  /** It holds its breath until the services have claimed their partitions, so that no start of theirs is in the figure. */
  readonly source: Pick<Server, 'kill' | 'pid'>;
  readonly broker: Pick<Server, 'pid'> | undefined;
}

/** The clock and what each process had used by then. */
export interface Look {
  readonly ms: number;
  readonly cpuUs: Readonly<Record<ProcessName, number>>;
}

/** The last look before capture streamed: what happens between two looks is counted, never given away. */
export class ClockStart {
  #before: Look | undefined;

  /** The start, as soon as there is one. */
  look(now: Look, streams: boolean): Look | undefined {
    if (streams) return this.#before ?? now;
    this.#before = now;
    return undefined;
  }
}

/** Changes, not rows: an update of a row that is visible already is work as an insert is. */
export function ratesBetween(start: Look, end: Look, set: DataSet): Pick<EndToEnd, 'changesPerSecond' | 'cpuUs'> {
  const changes = changesOf(set);
  const of = (name: ProcessName) => (end.cpuUs[name] - start.cpuUs[name]) / changes;
  return {
    changesPerSecond: (changes * 1000) / (end.ms - start.ms),
    cpuUs: { crossfade: of('crossfade'), source: of('source'), broker: of('broker') },
  };
}

const deadlineSeconds = 300;
const lookEveryMs = 5;

const cpuOf = (pid: number | undefined) => (pid === undefined ? 0 : cpuUsOf(pid));

export async function runEndToEnd({ folder, client, set, source, broker }: Backlog): Promise<EndToEnd> {
  await source.kill('SIGSTOP');
  const gate = new AsyncDisposableStack();
  gate.defer(() => source.kill('SIGCONT'));
  await using _ = gate;
  await using running = startCrossfade(folder);
  const deadlineMs = performance.now() + deadlineSeconds * 1000;
  const until = async (what: string, isSo: () => Promise<boolean> | boolean): Promise<void> => {
    while (!(await Promise.race([isSo(), running.failed]))) {
      if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${deadlineSeconds} s`);
      await sleep(lookEveryMs);
    }
  };
  const exists = async (where: string) =>
    (await client.query<{ found: boolean }>(`SELECT EXISTS (SELECT FROM ${set.table} WHERE ${where}) AS found`)).rows[0]?.found === true;
  const look = (): Look => ({
    ms: performance.now(),
    cpuUs: { crossfade: cpuUsOf(running.pid), source: cpuOf(source.pid), broker: cpuOf(broker?.pid) },
  });

  await until('the service claims its partitions', () => running.said('partitions claimed'));
  if (running.said('capture streams')) throw new Error('capture streams from a server that is frozen');
  await gate.disposeAsync();
  const clock = new ClockStart();
  let start: Look | undefined;
  await until('capture streams', () => {
    start = clock.look(look(), running.said('capture streams'));
    return start !== undefined;
  });
  if (start === undefined) throw new Error('the clock did not start');
  await until('a visible row', () => exists('true'));
  const firstRowMs = performance.now();
  await until('the last row', () => exists(`id = ${set.counts.lastKey}`));
  const rates = ratesBetween(start, look(), set);
  return { ...rates, rssMb: peakRssMbOf(running.pid), firstRowSeconds: (firstRowMs - start.ms) / 1000 };
}
