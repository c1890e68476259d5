/** Both targets stand still under load, for hours if need be: memory does not grow, and lag tells it all the time. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { peakRssMbOf, rssMbOf } from '../../bench/process-meter.ts';
import { freePort } from '../../stack/ports.ts';
import { bulkRows, logKinds, seed, stallSeconds } from './rig/knobs.ts';
import { openRig, type Rig } from './rig/rig.ts';
import { slopeOf } from './rig/slope.ts';
import { pause, until } from './rig/wait.ts';

const services = ['books', 'shelf'] as const;
/** A breach is told when it has lasted for five seconds: both fit into the shortest stall with a third of it to spare. */
const objectiveSeconds = Math.min(60, stallSeconds / 4);
/** Of one process, and what may come on top of it while the target stands still: noise of a heap, not a row of what waits. */
const ceilingMb = 300;
const noiseMb = 40;
/** 108 MB an hour; what a heap does by itself over the minutes of a stall is below that. */
const slopeMbPerSecond = 0.03;
/** In a shorter stall the noise of a heap is steeper than that. */
const slopeFromSeconds = 300;

interface Look {
  readonly seconds: number;
  readonly lag: Readonly<Record<string, number>>;
  readonly rssMb: Readonly<Record<string, number>>;
}

describe.each(logKinds)(`targets that stand still for ${stallSeconds} s, seed ${seed}, log %s`, (log) => {
  it('G9 G10 G11: memory does not grow, lag does, the alert comes once', { timeout: 300_000 + 3 * stallSeconds * 1000 }, async () => {
    console.info(`chaos: targets stand still, log ${log}, seed ${seed}`);
    await using webhook = await startWebhook();
    const door = `127.0.0.1:${await freePort()}`;
    const more = `lag: { objective: ${objectiveSeconds}s, alert: '${webhook.url}' }\n`;
    await using rig = await openRig(seed, { log, more, captureArgs: ['--http', door], pauseMs: 10 });
    await warm(rig);
    await untilCalm(rig, door);
    // A slow machine may have been late before, and that was told too.
    const told = webhook.events.length;
    const looks = await stall(rig, door);
    await untilCalm(rig, door);
    await until(
      () => services.every((service) => webhook.heard(service, told).length >= 2),
      60_000,
      () => `breach and recovery are told: ${JSON.stringify(webhook.events)}`,
    );
    await rig.workload.stop();
    const comparison = await rig.settled(120_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(rig.ends(), await rig.logs()).toEqual([]);
    for (const service of services) {
      expect(webhook.heard(service, told), service).toEqual(['lag_breached', 'lag_recovered']);
      const grown = looks.map(({ lag }) => lag[service] ?? -1);
      const shrinks = grown.findIndex((seconds, index) => index > 0 && seconds <= (grown[index - 1] ?? 0));
      expect(shrinks, `${service}: ${grown.map((seconds) => seconds.toFixed(1)).join(' ')}`).toBe(-1);
      expect(grown.at(-1)).toBeGreaterThan(stallSeconds * 0.8);
    }
    expectFlat(looks);
    const peaks = [rig.capture, rig.books, rig.shelf].map(({ pid = 0 }) => peakRssMbOf(pid));
    console.info(`chaos: peaks of capture, books, shelf ${peaks.map((mb) => mb.toFixed(0)).join(', ')} MB, ${comparison.rows} rows equal`);
    expect(Math.max(...peaks)).toBeLessThan(ceilingMb);
  });
});

/** A large transaction has gone through: what memory such work needs is had. */
async function warm(rig: Rig): Promise<void> {
  const bulk = rig.workload.bulk(bulkRows);
  const from = await rig.applied.books();
  await bulk;
  await until(
    async () => (await rig.applied.books()) >= from + bulkRows,
    120_000,
    async () => `a large transaction is applied\n${await rig.logs()}`,
  );
}

/** No service is late, and no breach is open. */
async function untilCalm(rig: Rig, door: string): Promise<void> {
  const calm = async () => {
    const text = await metricsAt(door);
    return lagsIn(text).every(([, seconds]) => seconds < objectiveSeconds / 2) && !/^crossfade_lag_objective_breached\{.*\} 1$/m.test(text);
  };
  await until(calm, 120_000 + 2 * stallSeconds * 1000, async () => `the lag falls back\n${await rig.logs()}`);
}

/** Postgres is frozen, Redis is down; one look about every second. */
async function stall({ stack, workload, capture, books, shelf }: Rig, door: string): Promise<Look[]> {
  const { postgres, redis } = stack.servers;
  await Promise.all([postgres.kill('SIGSTOP'), redis.stop()]);
  const startedMs = Date.now();
  const looks: Look[] = [];
  try {
    void workload.bulk(bulkRows);
    while (Date.now() - startedMs < stallSeconds * 1000) {
      await pause(Math.max(1000, stallSeconds * 10));
      const processes = { capture, books, shelf };
      const rssMb = Object.fromEntries(Object.entries(processes).map(([name, { pid = 0 }]) => [name, rssMbOf(pid)]));
      looks.push({ seconds: (Date.now() - startedMs) / 1000, lag: Object.fromEntries(lagsIn(await metricsAt(door))), rssMb });
    }
  } finally {
    await postgres.kill('SIGCONT');
    await redis.start();
  }
  // What was committed just before the stall may have become visible just after the first look.
  return looks.filter(({ seconds }) => seconds > 3);
}

/** Neither more in the last third than in the first, nor a steady rise that a stall of hours would make a gigabyte of. */
function expectFlat(looks: readonly Look[]): void {
  const third = Math.ceil(looks.length / 3);
  const highest = (some: readonly Look[], name: string) => Math.max(...some.map(({ rssMb }) => rssMb[name] ?? Infinity));
  for (const name of ['capture', ...services]) {
    const told = `${name}: ${looks.map(({ rssMb }) => rssMb[name]?.toFixed(0)).join(' ')} MB`;
    const [early, late] = [highest(looks.slice(0, third), name), highest(looks.slice(-third), name)];
    expect(late, told).toBeLessThan(early + noiseMb);
    if (stallSeconds < slopeFromSeconds) continue;
    // The first third fills what is bounded.
    const points = looks.slice(third).map(({ seconds, rssMb }) => ({ x: seconds, y: rssMb[name] ?? Infinity }));
    const slope = slopeOf(points);
    console.info(`chaos: ${name} grows by ${slope.toFixed(4)} MB a second of the stall`);
    expect(slope, `MB a second; ${told}`).toBeLessThan(slopeMbPerSecond);
  }
}

async function metricsAt(door: string): Promise<string> {
  return await (await fetch(`http://${door}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
}

/** Of every service, in seconds, as a monitor reads it. */
function lagsIn(text: string): (readonly [string, number])[] {
  const lags = [...text.matchAll(/^crossfade_service_lag_seconds\{service="(\w+)"[^}]*\} (\S+)$/gm)];
  expect(lags.length, text.slice(0, 2000)).toBe(services.length);
  return lags.map(([, service = '', seconds]) => [service, Number(seconds)]);
}

interface Webhook extends AsyncDisposable {
  readonly url: string;
  readonly events: readonly { readonly event: string; readonly service: string }[];
  /** Of one service, behind so many of all. */
  heard(service: string, from: number): string[];
}

async function startWebhook(): Promise<Webhook> {
  const events: { event: string; service: string }[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      events.push(JSON.parse(body) as { event: string; service: string });
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    events,
    heard: (service, from) =>
      events
        .slice(from)
        .filter((one) => one.service === service)
        .map(({ event }) => event),
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
