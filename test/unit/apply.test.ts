import { describe, expect, it } from 'vitest';
import { MemoryLogCluster } from '../../connectors/memory/log-cluster.ts';
import { openMemoryLog } from '../../connectors/memory/log.ts';
import { openMemorySink } from '../../connectors/memory/sink.ts';
import { MemoryStore } from '../../connectors/memory/store.ts';
import { codec } from '../../src/codec.ts';
import type { TableSchema } from '../../src/core/change.ts';
import type { Delivery, Log, Offsets, PartitionId, ReadPlaces, Writer } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import type { RowChange, Transaction } from '../../src/core/source-port.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';
import { type ApplyParts, applySession } from '../../src/runtime/apply.ts';
import { Encoder } from '../../src/runtime/encode.ts';
import { TailFilter } from '../../src/runtime/resume.ts';
import { withMethods } from '../simulation/sinks.ts';

const tables = ['orders', 'stock'];
const streams = tables.map((table) => ({ topic: `p.shop.${table}`, partitions: 1 }));
const [orders, stock] = ['p.shop.orders#0', 'p.shop.stock#0'] as const;
const routing = new Map(tables.map((table, at) => [`shop.${table}`, streams[at] as (typeof streams)[number]]));
const schemaOf = (table: string): TableSchema => ({
  id: table,
  table: { database: 'shop', table },
  columns: [{ name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32 }],
  key: ['id'],
});
const schemas = new Map(tables.map((table) => [table, schemaOf(table)]));
const mappings: Mapping[] = tables.map((table) => ({ source: { database: 'shop', table }, transforms: [], target: table, options: {} }));
const prefixOf = (number: number) => versionPrefix({ epoch: 1, file: 1, offset: number });
const versionAt = (number: number) => versionOf(prefixOf(number), 0, 2);

function insert(table: string, number: number, of?: Transaction, ordinal = 0): RowChange {
  const transaction = of ?? transactionOf(number);
  const json = Buffer.from(`{"id":${number}}`);
  const schema = schemas.get(table) as TableSchema;
  return { transaction, schema, op: 'c', ordinal, pos: 4, row: 0, before: null, after: json, key: json, oldKey: null };
}
const transactionOf = (number: number): Transaction => ({
  id: `T${number}`,
  gtid: `T${number}`,
  file: 'binlog.000001',
  serverId: 1,
  committedAtUs: number,
  versionPrefix: prefixOf(number),
});

/** A log, a target, and what a session said and wrote. */
class Rig {
  readonly store = new MemoryStore();
  cluster = new MemoryLogCluster({ codec, logId: 'L' });
  readonly written: (readonly [PartitionId, readonly string[]])[] = [];
  readonly reported: Offsets[] = [];
  readonly warned: object[] = [];
  /** Partition, since when, and changes, as the meters were told. */
  readonly lags: (readonly [string, number | undefined, number])[] = [];
  #writer: Writer | undefined;

  /** One row each, as transactions of their own unless `open` says that one goes on. */
  async append(changes: readonly RowChange[], open = false): Promise<void> {
    const writer = (this.#writer ??= await openMemoryLog(this.cluster, streams).lead(new AbortController().signal));
    for (const schema of schemas.values()) await writer.define(schema);
    const encoder = new Encoder('p', routing, writer, new TailFilter({ partitions: new Map() }));
    encoder.add(changes, open, 1);
    await writer.append(encoder.take());
  }

  /** The same log, emptied: what follows may lie at other offsets. */
  rewrite(): void {
    this.cluster = new MemoryLogCluster({ codec, logId: 'L' });
    this.#writer = undefined;
  }

  /** One session, until so many records were written to the target in it; a session that only throws ends by itself. */
  async session(records: number, wrap: (log: Log) => Log = (log) => log): Promise<void> {
    const stop = new AbortController();
    const logger: Logger = { debug: none, info: none, error: none, warn: (fields) => void this.warned.push(fields) };
    let left = records;
    const parts: ApplyParts = {
      service: 's',
      mappings,
      mappingHash: () => 'H',
      logger,
      meters: { applied: none, lag: (...told) => void this.lags.push(told), stands: none, kept: none },
      openLog: async () => {
        const log = openMemoryLog(this.cluster, streams);
        const applied = async (group: string, offsets: Offsets) => {
          this.reported.push(offsets);
          await log.applied(group, offsets);
        };
        return wrap(withMethods<Log>(log, { applied }));
      },
      openSink: async () => {
        const sink = openMemorySink(this.store, { mappings });
        return withMethods(sink, {
          write: async (batch) => {
            const outcome = await sink.write(batch);
            this.written.push([batch.partition, batch.entries.map(({ event }) => event.version)]);
            left -= batch.entries.length;
            if (left <= 0) stop.abort();
            return outcome;
          },
        });
      },
    };
    await applySession(parts, { signal: stop.signal, ready: none, progressed: none });
  }

  ids(table: string): number[] {
    return this.store.rows(table).map((row) => Number(row['id']));
  }
}
const none = () => {};
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const stops = (code: string) => expect.objectContaining({ code, fault: 'fatal' }) as unknown;

describe('G2: apply believes versions where offsets cannot be trusted', () => {
  it('a log that was rewritten, its rows at other offsets, is skipped by version, and that is said once', async () => {
    const rig = new Rig();
    await rig.append(range(0, 10).map((number) => insert('orders', number)));
    await rig.session(10);
    expect(rig.warned).toEqual([]);
    rig.rewrite();
    await rig.append(range(0, 5).map((number) => insert('orders', number)));
    for (const _ of range(0, 3)) rig.cluster.gap(orders);
    await rig.append(range(5, 13).map((number) => insert('orders', number)));
    rig.written.length = 0;
    await rig.session(3);
    expect(rig.written.flatMap(([, versions]) => versions)).toEqual([10, 11, 12].map(versionAt));
    expect(rig.warned).toEqual([{ service: 's', skipThrough: { [orders]: versionAt(9) } }]);
    expect(rig.ids('orders')).toEqual(range(0, 13));
  });

  it('a log that goes back in the middle of a session stops it, and nothing of that is written', async () => {
    const rig = new Rig();
    await rig.append(range(5, 8).map((number) => insert('orders', number)));
    await rig.append([insert('orders', 3)]);
    await expect(rig.session(99, oneByOne)).rejects.toEqual(stops('INVARIANT'));
    expect(rig.ids('orders')).toEqual([5, 6, 7]);
  });

  it.each(['nonsense', versionOf(versionPrefix({ epoch: 0x99999999, file: 0, offset: 0 }), 0, 2)])(
    'progress that names version %s stops, instead of skipping everything for ever',
    async (version) => {
      const rig = new Rig();
      await rig.append(range(0, 4).map((number) => insert('orders', number)));
      await rig.session(4);
      const stored = rig.store.progress.get(orders);
      if (stored?.progress === undefined) throw new Error('there is no progress to edit');
      stored.progress = { ...stored.progress, version };
      await rig.append([insert('orders', 4)]);
      await expect(rig.session(1)).rejects.toEqual(stops('TARGET_PROGRESS_FOREIGN'));
      expect(rig.ids('orders')).toEqual([0, 1, 2, 3]);
    },
  );
});

describe('G3: what a claim rolled back was never applied', () => {
  it('an open transaction of a partition that goes elsewhere is not reported with the next commit', async () => {
    const rig = new Rig();
    const large = transactionOf(1);
    await rig.append([insert('orders', 1, large, 0), insert('orders', 2, large, 1)], true);
    await rig.append([insert('stock', 3)]);
    await rig.session(2, (log) => withMethods(log, { read: (_group, claim, signal) => handedOver(log, claim, signal) }));
    expect(rig.written.map(([partition]) => partition)).toEqual([orders, stock]);
    expect(rig.reported.flatMap((offsets) => [...offsets])).toEqual([[stock, 1]]);
    expect([rig.ids('orders'), rig.ids('stock')]).toEqual([[], [3]]);
  });
});

/** Deliveries of one batch each. */
const oneByOne = (log: Log): Log =>
  withMethods(log, {
    async *read(group, claim, signal) {
      for await (const delivery of log.read(group, claim, signal)) {
        for (const record of delivery.records) yield { ...delivery, records: [record], nextOffset: record.offset + 1 };
      }
    },
  });

/** Both partitions are ours, orders is in the middle of a transaction, and then it is another member's. */
async function* handedOver(log: Log, claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>, signal: AbortSignal) {
  await claim([orders, stock]);
  yield await first(log, orders, signal);
  await claim([stock]);
  yield await first(log, stock, signal);
}

async function first(log: Log, partition: PartitionId, signal: AbortSignal): Promise<Delivery> {
  for await (const delivery of log.readFrom(new Map([[partition, 0]]), signal)) return delivery;
  throw new Error('nothing came');
}

describe('G11: what is in hand is behind until the target has it', () => {
  it('told before the write, so that a target that hangs is seen, and again after it', async () => {
    const rig = new Rig();
    await rig.append(range(5, 9).map((number) => insert('orders', number)));
    await rig.session(4);
    expect(rig.lags).toEqual([
      [orders, 5, 4],
      [orders, 8, 0],
    ]);
  });

  it('an open transaction is behind from its first part on, and is seen with its last', async () => {
    const rig = new Rig();
    rig.cluster = new MemoryLogCluster({ codec, logId: 'L', deliveryRecords: 1 });
    const transaction = transactionOf(9);
    await rig.append([insert('orders', 9, transaction, 0), insert('orders', 10, transaction, 1)], true);
    await rig.append([insert('orders', 11, transaction, 2)]);
    await rig.session(2);
    expect(rig.lags.at(0)).toEqual([orders, 9, 2]);
    expect(rig.lags.at(-1)).toEqual([orders, 9, 0]);
    expect(rig.lags.slice(0, -1).every(([, sinceUs, changes]) => sinceUs === 9 && changes === 2)).toBe(true);
  });
});
