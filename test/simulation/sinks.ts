/** What is put around the memory sink in every history: a watch on zombies, and the fold that Postgres does. */
import { foldEntries } from '../../src/core/fold.ts';
import type { Entry, Sink, SinkBatch } from '../../src/core/sink-port.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Violate } from './invariants.ts';

/** The same sink with some methods of our own. */
export function withMethods<T extends object>(raw: T, methods: Partial<T>): T {
  return new Proxy(raw, {
    get(target, property) {
      if (Object.hasOwn(methods, property)) return Reflect.get(methods, property) as unknown;
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

/** Whoever claimed a partition last is the only one who may write it. The memory sink acts before its first await. */
export function ownerWatched(raw: Sink, service: string, owners: Map<string, Sink>, violate: Violate): Sink {
  const place = (partition: PartitionId) => `${service} ${partition}`;
  return withMethods(raw, {
    claim: (partitions) => {
      const claimed = raw.claim(partitions);
      for (const partition of partitions) owners.set(place(partition), raw);
      return claimed;
    },
    write: async (batch) => {
      const owner = owners.get(place(batch.partition));
      const outcome = await raw.write(batch);
      if (owner !== raw) violate(`${place(batch.partition)} was written by one who does not own it any more`);
      return outcome;
    },
    writeTogether: async (batches) => {
      const ours = batches.map(({ partition }) => owners.get(place(partition)) === raw);
      const outcome = (await raw.writeTogether?.(batches)) ?? 'apart';
      if (outcome === 'committed' && !ours.every(Boolean)) violate(`${service}: one that is not owned any more was written with others`);
      return outcome;
    },
  });
}

/** Each batch folded to the last change per key before it is written; a TRUNCATE has nothing to fold. */
export function folding(raw: Sink, order: (entries: readonly Entry[]) => readonly Entry[] = (entries) => entries): Sink {
  const folded = (batch: SinkBatch) => (batch.barrier === undefined ? foldedBatch(batch, order) : batch);
  return withMethods(raw, {
    write: (batch) => raw.write(folded(batch)),
    writeTogether: async (batches) => (await raw.writeTogether?.(batches.map(folded))) ?? 'apart',
  });
}

function foldedBatch(batch: SinkBatch, order: (entries: readonly Entry[]) => readonly Entry[]): SinkBatch {
  const entries: Entry[] = [];
  for (const [mapping, rows] of foldEntries(order(batch.entries))) {
    for (const { row, identity, entry } of rows) {
      const { schema, version, committedAtUs, transactionId } = entry.event;
      const common = { schema, version, committedAtUs, transactionId };
      entries.push({ mapping, event: row ? { op: 'insert', after: row, ...common } : { op: 'delete', before: identity, ...common } });
    }
  }
  return { ...batch, entries };
}
