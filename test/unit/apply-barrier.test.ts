/** A TRUNCATE on its way through apply: what it stops, what goes on meanwhile, and what is held in memory. */
import { expect, onTestFinished, test } from 'vitest';
import { MemoryLogCluster } from '../../connectors/memory/log-cluster.ts';
import { openMemoryLog } from '../../connectors/memory/log.ts';
import { openMemorySink } from '../../connectors/memory/sink.ts';
import { MemoryStore } from '../../connectors/memory/store.ts';
import { codec } from '../../src/codec.ts';
import type { TableSchema } from '../../src/core/change.ts';
import type { Log, LogRecord, PartitionId, Writer } from '../../src/core/log-port.ts';
import { partitionOf } from '../../src/core/partition.ts';
import type { Mapping, Sink, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import type { RowChange, Transaction } from '../../src/core/source-port.ts';
import { versionPrefix } from '../../src/core/version.ts';
import { applySession } from '../../src/runtime/apply.ts';
import { Encoder } from '../../src/runtime/encode.ts';
import { TailFilter } from '../../src/runtime/resume.ts';
import { shapeRuns, staysOpen } from '../../src/runtime/shape-runs.ts';
import { until } from '../contract/log-rows.ts';
import { withMethods } from '../simulation/sinks.ts';

const stream = { topic: 'p.s', partitions: 2 };
const other = { topic: 'p.other', partitions: 1 };
const [p0, p1] = ['p.s#0', 'p.s#1'] as const;
const routing = new Map([
  ['shop.orders', stream],
  ['shop.audit', stream],
  ['shop.other', other],
]);
const schemaOf = (table: string): TableSchema => ({
  id: table,
  table: { database: 'shop', table },
  columns: [{ name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32 }],
  key: ['id'],
});
const schemas = new Map([...routing.keys()].map((name) => [name.slice(5), schemaOf(name.slice(5))]));
const mappings: Mapping[] = ['orders', 'other'].map((table) => ({
  source: { database: 'shop', table },
  transforms: [],
  target: table,
  options: {},
}));
const json = (id: number) => Buffer.from(`{"id":${id}}`);
/** Ids whose rows lie in this partition, in order. */
const idsOf = (partition: 0 | 1) => Array.from({ length: 200 }, (_, id) => id).filter((id) => partitionOf(json(id), 2) === partition);
const [zero, one] = [idsOf(0), idsOf(1)];
const id = (ids: readonly number[], at: number) => ids[at] as number;

const transaction = (number: number): Transaction => ({
  id: `T${number}`,
  gtid: `T${number}`,
  file: 'binlog.000001',
  serverId: 1,
  committedAtUs: number,
  versionPrefix: versionPrefix({ epoch: 1, file: 1, offset: number }),
});
const place = { ordinal: 0, pos: 4, row: 0, before: null, oldKey: null };
const insert = (number: number, key: number, table = 'orders'): RowChange => ({
  ...place,
  transaction: transaction(number),
  schema: schemas.get(table) as TableSchema,
  op: 'c',
  after: json(key),
  key: json(key),
});
const truncate = (number: number, table = 'orders'): RowChange => ({
  ...place,
  transaction: transaction(number),
  schema: schemas.get(table) as TableSchema,
  op: 't',
  after: null,
  key: Buffer.alloc(0),
});

class Rig {
  readonly store = new MemoryStore();
  readonly cluster = new MemoryLogCluster({ codec, logId: 'L', deliveryRecords: 1 });
  readonly delivered: PartitionId[] = [];
  readonly written: (readonly [SinkBatch, WriteOutcome])[] = [];
  readonly said: string[] = [];
  readonly lags = new Map<PartitionId, readonly [number | undefined, number]>();
  #writer: Writer | undefined;

  /** Each change a batch of its own. */
  async append(...changes: readonly RowChange[]): Promise<void> {
    const writer = (this.#writer ??= await openMemoryLog(this.cluster, [stream, other]).lead(new AbortController().signal));
    for (const schema of schemas.values()) await writer.define(schema);
    const encoder = new Encoder('p', routing, writer, new TailFilter({ partitions: new Map() }));
    for (const change of changes) {
      encoder.add([change], false, 1);
      await writer.append(encoder.take());
    }
  }

  /** A worker in the background. */
  start(wrap: (sink: Sink) => Sink = (sink) => sink): { stop(): Promise<void> } {
    const stop = new AbortController();
    const none = () => {};
    const ended = applySession(
      {
        service: 's',
        mappings,
        mappingHash: () => 'H',
        logger: { debug: none, warn: none, error: none, info: (_, message) => void this.said.push(message) },
        meters: {
          applied: none,
          lag: (partition, sinceUs, changes) => void this.lags.set(partition, [sinceUs, changes]),
          stands: none,
          kept: none,
        },
        openLog: async () => this.#watched(openMemoryLog(this.cluster, [stream, other])),
        openSink: async () => {
          const sink = openMemorySink(this.store, { mappings });
          const write = async (batch: SinkBatch) => {
            const outcome = await sink.write(batch);
            this.written.push([batch, outcome]);
            return outcome;
          };
          return wrap(withMethods(sink, { write }));
        },
      },
      { signal: stop.signal, ready: none, progressed: none },
    );
    const end = async () => {
      stop.abort();
      await ended;
    };
    onTestFinished(end);
    return { stop: end };
  }

  #watched(log: Log): Log {
    const { delivered } = this;
    return withMethods(log, {
      async *read(...args) {
        for await (const delivery of log.read(...args)) {
          delivered.push(delivery.partition);
          yield delivery;
        }
      },
    });
  }

  ids = (table = 'orders') =>
    this.store
      .rows(table)
      .map((row) => Number(row['id']))
      .sort((a, b) => a - b);
  count = (partition: PartitionId) => this.delivered.filter((one) => one === partition).length;
}

test('section 9: a TRUNCATE stops its partition until the others have come; other streams go on', async () => {
  const rig = new Rig();
  // Partition 1 lacks the TRUNCATE yet, as after a crash of capture between two appends.
  await rig.append(insert(1, id(zero, 0)), insert(2, id(one, 0)));
  const all = await encoded([truncate(3), insert(4, id(zero, 1)), insert(5, id(zero, 2)), insert(6, id(one, 1))]);
  await append(
    rig,
    all.filter(({ partition }) => partition === p0),
  );
  rig.start();
  await until('partition 0 waits', () => rig.said.includes('a partition waits at a TRUNCATE for the others of its stream'));
  await rig.append(insert(7, 1, 'other'));
  await until('the other stream goes on', () => rig.ids('other').length === 1);
  expect(rig.ids()).toEqual([id(zero, 0), id(one, 0)].sort((a, b) => a - b));
  expect(rig.store.progress.get(p0)?.progress?.nextOffset).toBe(1);
  // How old is what a reader sees: the TRUNCATE is the oldest change that is not visible.
  expect(rig.lags.get(p0)?.[0]).toBe(3);
  await append(
    rig,
    all.filter(({ partition }) => partition === p1),
  );
  await until('what follows is there', () => rig.ids().length === 3);
  expect(rig.ids()).toEqual([id(zero, 1), id(zero, 2), id(one, 1)].sort((a, b) => a - b));
  expect(rig.said.at(-1)).toBe('a partition goes on behind a TRUNCATE');
  await until('lag is told', () => rig.lags.get(p0)?.[1] === 0);
});

test('a wait of more than a second is told in the log, and taken back when it is over, or by the next to claim', async () => {
  const rig = new Rig();
  const all = await encoded([truncate(3)]);
  const of = (wanted: string) => all.filter(({ partition }) => partition === wanted);
  await append(rig, of(p0));
  const waits = () => [...(rig.cluster.waits.get('s')?.keys() ?? [])];
  const startedMs = Date.now();
  const first = rig.start();
  await until('it is told', () => waits().length > 0);
  expect(waits()).toEqual([p0]);
  expect(rig.cluster.waits.get('s')?.get(p0)).toBeGreaterThanOrEqual(startedMs);
  await first.stop();
  expect(waits()).toEqual([p0]);
  rig.start();
  await until('the next begins anew', () => waits().length === 0);
  await until('it is told again', () => waits().length > 0);
  await append(rig, of(p1));
  await until('it is over', () => waits().length === 0);
});

test('G9: a partition that waits holds two deliveries at most, however much lies behind it', async () => {
  const rig = new Rig();
  const many = zero.slice(0, 40).map((key, at) => insert(10 + at, key));
  const all = await encoded([truncate(3), ...many]);
  const of = (wanted: string) => all.filter(({ partition }) => partition === wanted);
  await append(rig, of(p0));
  rig.start();
  await until('partition 0 waits', () => rig.said.includes('a partition waits at a TRUNCATE for the others of its stream'));
  await rig.append(insert(7, 1, 'other'), insert(8, 2, 'other'), insert(9, 3, 'other'));
  await until('the other stream goes on', () => rig.ids('other').length === 3);
  // One stands at the barrier; the next was read while that was found out.
  expect(rig.count(p0)).toBeLessThanOrEqual(2);
  await append(rig, of(p1));
  await until('all came', () => rig.ids().length === 40);
  expect(rig.count(p0)).toBe(41);
});

test('section 9: a worker for which nothing comes is freed by the one who came last', async () => {
  const rig = new Rig();
  const workers = [rig.start(), rig.start()];
  await until('each has its share', () => rig.cluster.members.size === 2);
  await rig.append(insert(1, id(zero, 0)), insert(2, id(one, 0)), truncate(3), insert(4, id(one, 1)), insert(5, id(zero, 1)));
  await until('both are behind it', () => rig.ids().length === 2 && !rig.ids().includes(id(zero, 0)));
  expect(rig.ids()).toEqual([id(zero, 1), id(one, 1)].sort((a, b) => a - b));
  for (const worker of workers) await worker.stop();
});

test('a TRUNCATE of a table that nobody maps here waits for nobody', async () => {
  const rig = new Rig();
  const all = await encoded([truncate(3, 'audit'), insert(4, id(zero, 1))]);
  await append(
    rig,
    all.filter(({ partition }) => partition === p0),
  );
  rig.start();
  await until('what follows is there', () => rig.ids().length === 1);
  expect(rig.written.every(([batch]) => batch.barrier === undefined)).toBe(true);
});

test('an error while it waits ends the session, though the log has nothing to deliver', async () => {
  const rig = new Rig();
  const all = await encoded([truncate(3)]);
  await append(
    rig,
    all.filter(({ partition }) => partition === p0),
  );
  let asked = 0;
  const session = applySession(
    {
      service: 's',
      mappings,
      mappingHash: () => 'H',
      logger: { debug: () => {}, warn: () => {}, error: () => {}, info: () => {} },
      meters: { applied: () => {}, lag: () => {}, stands: () => {}, kept: () => {} },
      openLog: async () => openMemoryLog(rig.cluster, [stream, other]),
      openSink: async () => {
        const sink = openMemorySink(rig.store, { mappings });
        const write = async (batch: SinkBatch) => {
          if ((asked += 1) > 3) throw new RangeError('the target is down');
          return sink.write(batch);
        };
        return withMethods(sink, { write });
      },
    },
    { signal: new AbortController().signal, ready: () => {}, progressed: () => {} },
  );
  await expect(session).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('G2: a run ends around every barrier, and what comes before one is closed', () => {
  const known = new Map([...schemas.values(), { ...schemaOf('orders'), id: 'orders2' }].map((schema) => [schema.id, schema]));
  const record = (schemaId: string, barrier?: number, open = false) =>
    ({ schemaId, open, ...(barrier === undefined ? {} : { barrier }) }) as LogRecord;
  const runs = shapeRuns(
    [record('orders'), record('orders', 2), record('orders', 2), record('orders'), record('orders2'), record('orders2', undefined, true)],
    known,
  );
  expect(runs.map((run) => run.map(({ schemaId, barrier }) => `${schemaId}${barrier ?? ''}`))).toEqual([
    ['orders'],
    ['orders2'],
    ['orders2'],
    ['orders'],
    ['orders2', 'orders2'],
  ]);
  expect(runs.map((run) => run[0]?.barrier)).toEqual([undefined, 2, 2, undefined, undefined]);
  expect(runs.map((run, at) => staysOpen(run, runs[at + 1]))).toEqual([false, false, false, true, true]);
});

/** What capture would append, one batch a record, so that a test can keep some of it back. */
async function encoded(changes: readonly RowChange[]) {
  const encoder = new Encoder('p', routing, { term: 1, batchBytesMax: 1 }, new TailFilter({ partitions: new Map() }));
  encoder.add(changes, false, 1);
  return encoder.take();
}

async function append(rig: Rig, appends: Awaited<ReturnType<typeof encoded>>): Promise<void> {
  // Its definitions come first.
  await rig.append();
  for (const { partition, batch } of appends) rig.cluster.plant(partition, batch);
}
