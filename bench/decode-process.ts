/**
 * One reader of a binlog alone in a process of its own, decoding and nothing more: ours, or zongji as it comes. Told by IPC
 * what to read; the first row's arrival to the last row's is timed. With `prove` the rows are hashed in one form for both.
 */
import { createHash } from 'node:crypto';

import ZongJi from '@vlasky/zongji';

import { mysqlSchema } from '../connectors/mysql/config.ts';
import { openMysqlSource } from '../connectors/mysql/source.ts';
import { answerParent } from './child.ts';
import type { DecodeTask, FromDecode } from './decode.ts';
import { benchDatabase } from './load.ts';

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** What both readers tell for each event or batch; rows are looked at only when they are to be proven. */
class Count {
  #rows = 0;
  #firstMs = 0;
  #cpu = process.cpuUsage();
  readonly #hash = createHash('sha256');
  readonly #expected: number;
  readonly done = Promise.withResolvers<FromDecode>();

  constructor(expected: number) {
    this.#expected = expected;
  }

  /** Before the first row is looked at, so that its decoding is timed with the others. */
  begin(): void {
    if (this.#firstMs > 0) return;
    this.#firstMs = performance.now();
    this.#cpu = process.cpuUsage();
  }

  add(rows: number): void {
    this.begin();
    this.#rows += rows;
    if (this.#rows < this.#expected) return;
    const { user, system } = process.cpuUsage(this.#cpu);
    const seconds = (performance.now() - this.#firstMs) / 1000;
    this.done.resolve({ rows: this.#rows, seconds, cpuUs: user + system, hash: this.#hash.digest('hex') });
  }

  prove(op: string, before: PlainRow | null, after: PlainRow | null): void {
    this.#hash.update(JSON.stringify([op, plain(before), plain(after)]));
  }
}

type PlainRow = Readonly<Record<string, string | number | null>>;

/** Cells as text in the table's order: one form for integers that are numbers or text, and for the T and Z of our times. */
function plain(row: PlainRow | null): (readonly [string, string | null])[] | null {
  if (row === null) return null;
  return Object.entries(row).map(([name, value]) => {
    if (value === null) return [name, null];
    const text = String(value);
    return [name, name.endsWith('_at') ? text.replace('T', ' ').replace('Z', '') : text];
  });
}

const row = (bytes: Uint8Array | null) => (bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as PlainRow));

async function decodeOurs(task: DecodeTask, count: Count, stop: AbortSignal): Promise<void> {
  const settings = mysqlSchema.parse({ url: task.url, start: { file: task.file, offset: 4 } });
  const tables = [{ database: benchDatabase, table: task.table }];
  await using source = await openMysqlSource(settings, { tables, keys: new Map(), logger: silent });
  for await (const { changes } of source.read(await source.start(), stop)) {
    if (changes.length === 0) {
      count.begin();
      continue;
    }
    if (task.prove) for (const { op, before, after } of changes) count.prove(op, row(before), row(after));
    count.add(changes.length);
  }
}

function decodeByZongji(task: DecodeTask, count: Count): () => void {
  const { hostname, port, username } = new URL(task.url);
  const zongji = new ZongJi({ host: hostname, port: Number(port), user: username, dateStrings: true, timezone: 'Z', charset: 'utf8mb4' });
  zongji.on('error', (error: unknown) => count.done.reject(error));
  zongji.on('binlog', (told: unknown) => {
    const event = told as { getEventName(): string; rows?: readonly PlainRow[] };
    count.begin();
    if (event.rows === undefined) return;
    if (task.prove) for (const row of event.rows) proveZongji(count, event.getEventName(), row);
    count.add(event.rows.length);
  });
  zongji.start({
    serverId: 4_100_000_000,
    filename: task.file,
    position: 4,
    includeEvents: ['rotate', 'tablemap', 'writerows', 'updaterows', 'deleterows'],
    includeSchema: { [benchDatabase]: [task.table] },
  });
  return () => zongji.stop();
}

function proveZongji(count: Count, name: string, row: PlainRow): void {
  if (name === 'writerows') count.prove('c', null, row);
  else if (name === 'deleterows') count.prove('d', row, null);
  else {
    const { before, after } = row as unknown as { readonly before: PlainRow; readonly after: PlainRow };
    count.prove('u', before, after);
  }
}

async function run(task: DecodeTask): Promise<FromDecode> {
  const count = new Count(task.rows);
  const stop = new AbortController();
  const end = task.reader === 'zongji' ? decodeByZongji(task, count) : () => stop.abort();
  const reading = task.reader === 'zongji' ? Promise.resolve() : decodeOurs(task, count, stop.signal);
  reading.catch((error: unknown) => count.done.reject(error));
  const deadline = setTimeout(() => count.done.reject(new Error(`not done after ${task.deadlineSeconds} s`)), task.deadlineSeconds * 1000);
  try {
    return await count.done.promise;
  } finally {
    clearTimeout(deadline);
    end();
    await reading.catch(() => undefined); // Told above, or the noise of our own stop.
  }
}

answerParent(run);
