/**
 * Deliberately broken builds, made by wrappers around ports so that the product has no switches for them. Each is what a
 * plausible mistake would do; mutations.test.ts shows that the simulation finds every one.
 */
import { codec } from '../../src/codec.ts';
import { MemoryStore } from '../../connectors/memory/store.ts';
import type { Append, Delivery, Log, PartitionId, PartitionState, Tail, Writer } from '../../src/core/log-port.ts';
import { numberOf } from '../../src/core/partition.ts';
import type { QueuedState } from '../../src/core/quarantine-port.ts';
import type { Entry, Sink } from '../../src/core/sink-port.ts';
import type { Source } from '../../src/core/source-port.ts';
import { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import type { SimulatedProcess } from '../support/faults.ts';
import { folding, withMethods } from './sinks.ts';
import type { World } from './world.ts';

export interface Breakage {
  readonly skipCompareAndSet: boolean;
  store(): MemoryStore;
  source(raw: Source, world: World): Source;
  log(raw: Log, world: World): Log;
  writer(raw: Writer, world: World, process: SimulatedProcess): Writer;
  sink(raw: Sink, world: World): Sink;
}

export const noBreakage: Breakage = {
  skipCompareAndSet: false,
  store: () => new MemoryStore(),
  source: (raw) => raw,
  log: (raw) => raw,
  writer: (raw) => raw,
  sink: (raw) => raw,
};

/** Appends are called durable while they are still on their way. */
const acknowledgesEarly: Breakage = {
  ...noBreakage,
  writer: (raw, world, process) => {
    let sent: Promise<void> = Promise.resolve();
    return withMethods(raw, {
      append: async (appends) => {
        const mine = appends.map(takeBuilder);
        sent = sent
          .then(() => world.clock.sleep(200))
          .then(() => process.checkpoint())
          .then(() => raw.append(mine));
        sent.catch(() => undefined);
      },
    });
  },
};

/** The caller may reuse its builder at once: it gets an empty one in place of the one that is still needed. */
function takeBuilder(append: Append): Append {
  const { partition, batch } = append;
  (append as { batch: RecordBatchBuilder }).batch = new RecordBatchBuilder();
  return { partition, batch };
}

const skipsCompareAndSet: Breakage = { ...noBreakage, skipCompareAndSet: true };

/** One batch in twenty never reaches the target, but its progress does. */
const dropsABatch: Breakage = {
  ...noBreakage,
  sink: (raw, world) => {
    const random = world.random.fork();
    return withMethods(raw, { write: (batch) => raw.write(random.chance(0.05) ? { ...batch, entries: [] } : batch) });
  },
};

/** One append in twenty never reaches the log, but is acknowledged. */
const dropsAnAppend: Breakage = {
  ...noBreakage,
  writer: (raw, world) => {
    const random = world.random.fork();
    return withMethods(raw, { append: async (appends) => (random.chance(0.05) ? undefined : raw.append(appends)) });
  },
};

/** Resume does not know what lies behind the last complete record. */
const forgetsTheTail: Breakage = {
  ...noBreakage,
  writer: (raw) =>
    withMethods(raw, {
      tail: async () => {
        const tail = await raw.tail();
        return {
          ...tail,
          partitions: new Map(
            [...tail.partitions].map(([id, { logId, startOffset, endOffset }]) => [id, { logId, startOffset, endOffset }]),
          ),
        };
      },
    }),
};

/** The tails are read before the fence, while another may still write. */
const readsTheTailBeforeTheFence: Breakage = {
  ...noBreakage,
  log: (raw, world) =>
    withMethods(raw, {
      lead: async (signal) => {
        const tail = tailNow(world);
        const writer = await raw.lead(signal);
        return withMethods(writer, {
          // The start record is read again: that it exists already would be noticed at once.
          tail: async () => ({ ...tail, ...(world.cluster.startRecord && { start: world.cluster.startRecord }) }),
        });
      },
    }),
};

function tailNow({ cluster }: World): Tail {
  const partitions = new Map<PartitionId, PartitionState>();
  for (const [id, stored] of cluster.partitions) partitions.set(id, cluster.state(stored));
  const complete = cluster.complete();
  return { partitions, ...(cluster.startRecord && { start: cluster.startRecord }), ...(complete && { complete }) };
}

/** A claim leaves the owner's epoch as it is. */
const neverRaisesTheEpoch: Breakage = {
  ...noBreakage,
  store: () => {
    const store = new MemoryStore();
    const set = store.progress.set.bind(store.progress);
    const fixed = { get: () => 1, set: () => undefined };
    store.progress.set = (partition, stored) => set(partition, Object.defineProperty({ ...stored }, 'ownerEpoch', fixed));
    return store;
  },
};

const foldsInWrongOrder: Breakage = { ...noBreakage, sink: (raw) => folding(raw, (entries) => entries.toReversed()) };

/** A batch that failed once is tried again as it is, although its first try may have been done. */
const appendsTwice: Breakage = {
  ...noBreakage,
  writer: (raw, world) => {
    const random = world.random.fork();
    return withMethods(raw, {
      append: async (appends) => {
        await raw.append(appends);
        if (random.chance(0.05)) await raw.append(appends);
      },
    });
  },
};

/** Every part of a transaction is committed as it comes. */
const showsHalfTransactions: Breakage = {
  ...noBreakage,
  sink: (raw) => withMethods(raw, { write: (batch) => raw.write({ ...batch, open: false }) }),
};

/** After a change of the share it goes on where it was reading, although the claim rolled back what was open. */
const readsOnAfterAClaim: Breakage = {
  ...noBreakage,
  log: (raw) =>
    withMethods(raw, {
      read: (group, claim, signal) => {
        const reached = new Map<PartitionId, number>();
        const claimAndKeep = async (partitions: readonly PartitionId[]) => {
          const from = await claim(partitions);
          for (const partition of reached.keys()) if (!partitions.includes(partition)) reached.delete(partition);
          return new Map([...from].map(([partition, { offset, term }]) => [partition, { offset: reached.get(partition) ?? offset, term }]));
        };
        return remembering(raw.read(group, claimAndKeep, signal), reached);
      },
    }),
};

async function* remembering(deliveries: AsyncIterable<Delivery>, reached: Map<PartitionId, number>) {
  for await (const delivery of deliveries) {
    reached.set(delivery.partition, delivery.nextOffset);
    yield delivery;
  }
}

/** Whoever comes to a TRUNCATE first does it, whatever the other partitions still hold of before. */
const truncatesAlone: Breakage = {
  ...noBreakage,
  sink: (raw) =>
    withMethods(raw, { write: ({ barrier, ...batch }) => raw.write(barrier ? { ...batch, barrier: [batch.partition] } : batch) }),
};

/** A TRUNCATE has no rows, so it is taken for nothing; its progress moves. */
const forgetsTruncates: Breakage = {
  ...noBreakage,
  sink: (raw) => withMethods(raw, { write: (batch) => raw.write(batch.barrier ? { ...batch, entries: [] } : batch) }),
};

/** That others have not come yet is taken for done. */
const doesNotStop: Breakage = {
  ...noBreakage,
  sink: (raw) =>
    withMethods(raw, {
      write: async (batch) => {
        const outcome = await raw.write(batch);
        return outcome === 'waiting' ? 'committed' : outcome;
      },
    }),
};

/** What follows a TRUNCATE in its partition is folded with it: the table is emptied behind it. */
const foldsAcrossTruncates: Breakage = {
  ...noBreakage,
  sink: (raw) => {
    const held = new Map<PartitionId, readonly Entry[]>();
    return withMethods(raw, {
      write: async (batch) => {
        const before = held.get(batch.partition) ?? [];
        held.delete(batch.partition);
        if (batch.barrier?.length === 1) held.set(batch.partition, batch.entries);
        if (batch.barrier) return raw.write(batch.barrier.length === 1 ? { ...batch, entries: [] } : batch);
        return raw.write({ ...batch, entries: [...batch.entries, ...before] });
      },
    });
  },
};

/** The last to arrive moves its own progress, and leaves the others to do it all once more. */
const movesOnlyItself: Breakage = {
  ...noBreakage,
  sink: (raw, world) =>
    withMethods(raw, {
      write: async (batch) => {
        const others = (batch.barrier ?? []).filter((partition) => partition !== batch.partition);
        const stood = [...world.stores.values()].flatMap((store) => others.map((one) => ({ store, one, at: store.progress.get(one) })));
        const outcome = await raw.write(batch);
        for (const { store, one, at } of stood) if (outcome === 'committed' && at) store.progress.set(one, at);
        return outcome;
      },
    }),
};

/** A TRUNCATE goes to the first partition of its stream, as a record without a key would. */
const writesATruncateOnce: Breakage = {
  ...noBreakage,
  writer: (raw) =>
    withMethods(raw, {
      append: async (appends) => {
        const others = appends.filter(({ partition, batch }) => numberOf(partition) === 0 || !holdsTruncate(partition, batch));
        if (others.length > 0) await raw.append(others);
      },
    }),
};
const holdsTruncate = (partition: PartitionId, batch: RecordBatchBuilder) =>
  decodeRecordBatch(batch.finish(codec, 0), codec, partition, batch.bytes).some(({ barrier }) => barrier !== undefined);

/** What of a refused change does not find its way into the queues. */
const keepsAside = (isKept: (state: QueuedState) => boolean): Breakage => ({
  ...noBreakage,
  store: () => {
    const store = new MemoryStore();
    const queues = store.queuesOf('');
    const add = queues.add.bind(queues);
    queues.add = (change, state, ...rest) => (isKept(state) ? add(change, state, ...rest) : undefined);
    return store;
  },
});

/** The later changes of a refused key are applied as if nothing were before them. */
const appliesPastARefusal: Breakage = {
  ...noBreakage,
  store: () => {
    const store = new MemoryStore();
    store.queuesOf('').of = () => [];
    return store;
  },
};

/** Name → build; what the name says is what the build does wrong. */
export const brokenBuilds: Readonly<Record<string, Breakage>> = {
  'acknowledges appends before they are durable': acknowledgesEarly,
  'skips the compare-and-set in the sink': skipsCompareAndSet,
  'drops a batch before the sink': dropsABatch,
  'drops an append before the log': dropsAnAppend,
  'appends a batch twice': appendsTwice,
  'does not drop re-read rows up to the tail': forgetsTheTail,
  'reads the tail before the fence': readsTheTailBeforeTheFence,
  'claims without raising the owner epoch': neverRaisesTheEpoch,
  'folds in the wrong order': foldsInWrongOrder,
  'commits the parts of a transaction one by one': showsHalfTransactions,
  'reads on behind what a claim rolled back': readsOnAfterAClaim,
  'applies a TRUNCATE when one partition has come to it': truncatesAlone,
  'forgets a TRUNCATE': forgetsTruncates,
  'does not stop at a barrier': doesNotStop,
  'folds across a TRUNCATE': foldsAcrossTruncates,
  'moves only its own progress at a barrier': movesOnlyItself,
  'writes a TRUNCATE into one partition only': writesATruncateOnce,
  'forgets what the target refused': keepsAside(() => false),
  'forgets what comes behind a refused change': keepsAside((state) => state !== 'behind'),
  'applies what comes behind a refused change': appliesPastARefusal,
};
