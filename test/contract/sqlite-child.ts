/** A process of its own on an embedded log, to be killed and frozen by log-sqlite-processes.test.ts. Says what it did line by line. */
import { writeSync } from 'node:fs';
import { openSqliteLog } from '../../connectors/sqlite/log.ts';
import { codec } from '../../src/codec.ts';
import { asCrossfadeError } from '../../src/core/errors.ts';
import type { FaultPoint } from '../../src/core/fault-point.ts';
import type { Log, ReadPlace, StreamSpec } from '../../src/core/log-port.ts';
import { parseVersion } from '../../src/core/version.ts';
import { rows } from './log-rows.ts';
import { Faults } from './sqlite-faults.ts';
import { appendThread, quiet, testTiming } from './sqlite-harness.ts';

export interface ChildOrder {
  readonly path: string;
  readonly work: 'append' | 'lead' | 'leave' | 'read';
  readonly memberExpiry?: number;
  /** The people's, if none is named. */
  readonly stream?: StreamSpec;
  /** Kills itself at the n-th passing of this fault point. */
  readonly dieAt?: { readonly point: FaultPoint; readonly passing: number };
}

const order = JSON.parse(process.argv[2] ?? '{}') as ChildOrder;
const say = (line: string) => writeSync(1, `${line}\n`);
const never = new AbortController().signal;
const partition = 'shop.people#0';

async function open(): Promise<Log> {
  return openSqliteLog(
    { path: order.path, synchronous: 'full', retention: { age: 168, size: 1e12 } },
    {
      pipeline: 'shop',
      streams: [order.stream ?? { topic: 'shop.people', partitions: 1 }],
      codec,
      appendThread,
      logger: quiet,
      timing: { ...testTiming, ...(order.memberExpiry && { memberExpiry: order.memberExpiry }) },
    },
  );
}

/** Goes on behind the tail, as a capture does, and appends until it is killed. */
async function append(): Promise<void> {
  const writer = await (await open()).lead(never);
  const last = (await writer.tail()).partitions.get(partition)?.last;
  let next = last === undefined ? 0 : (parseVersion(last.version)?.offset ?? Number.NaN) + 1;
  for (let turn = 0; ; turn += 1) {
    const to = next + 1 + (turn % 7);
    await writer.append([{ partition, batch: rows(next, to, { term: writer.term, valueBytes: 2000 }) }]);
    say(`acked ${to - 1}`);
    if (turn % 5 === 4) await writer.complete({ position: String(to - 1), throughUs: to, writtenAtMs: to });
    next = to;
  }
}

/** Leads, then appends one row for each line that comes. */
async function lead(): Promise<void> {
  const writer = await (await open()).lead(never);
  say(`leads ${writer.term}`);
  for await (const _ of process.stdin) {
    await writer.append([{ partition, batch: rows(666, 667, { term: writer.term }) }]).then(
      () => say('acked 666'),
      (error: unknown) => say(`failed ${asCrossfadeError(error).code}`),
    );
  }
}

/** Appends, and ends without closing anything: nothing of the log may keep a process. */
async function leave(): Promise<void> {
  const writer = await (await open()).lead(never);
  await writer.append([{ partition, batch: rows(0, 1, { term: writer.term }) }]);
  say('acked 0');
}

async function claim(partitions: readonly string[]): Promise<Map<string, ReadPlace>> {
  say(`claims ${partitions.length}`);
  return new Map(partitions.map((id) => [id, { offset: 0, term: 0 }]));
}

async function read(): Promise<void> {
  const log = await open();
  for await (const { records } of log.read('g', claim, never)) say(`delivered ${records.length}`);
}

if (order.dieAt) new Faults([{ ...order.dieAt, does: 'kill' }]);
await { append, lead, leave, read }[order.work]();
