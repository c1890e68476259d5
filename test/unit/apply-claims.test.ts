import { expect, test } from 'vitest';
import { MemoryLogCluster } from '../../connectors/memory/log-cluster.ts';
import { openMemoryLog } from '../../connectors/memory/log.ts';
import { openMemorySink } from '../../connectors/memory/sink.ts';
import { MemoryStore } from '../../connectors/memory/store.ts';
import { codec } from '../../src/codec.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Delivery, Log, PartitionId, ReadPlaces } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import { type ApplyParts, applySession } from '../../src/runtime/apply.ts';
import { ClaimNews } from '../../src/runtime/claim-news.ts';
import { withMethods } from '../simulation/sinks.ts';

const streams = [{ topic: 'p.shop.orders', partitions: 2 }];
const [first, second] = ['p.shop.orders#0', 'p.shop.orders#1'] as const;
const none = () => {};

test('what is claimed is said once for each change of it, not at every try', async () => {
  const said: object[] = [];
  const repeated: string[] = [];
  const logger: Logger = {
    debug: (_, message) => void repeated.push(message),
    info: (fields, message) => void said.push({ ...fields, message }),
    warn: none,
    error: none,
  };
  const cluster = new MemoryLogCluster({ codec, logId: 'L' });
  const store = new MemoryStore();
  let share: readonly PartitionId[] = [];
  const away = new CrossfadeError({ code: 'TARGET_UNREACHABLE', fault: 'retry', message: 'away', remedy: 'Look.' });
  /** Deals the share, and then the session ends as one does whose target fails. */
  async function* read(_: string, claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>): AsyncGenerator<Delivery> {
    await claim(share);
    yield* [];
    throw away;
  }
  const parts: ApplyParts = {
    service: 's',
    mappings: [],
    mappingHash: () => 'H',
    logger,
    claims: new ClaimNews(),
    meters: { applied: none, lag: none, stands: none, kept: none },
    openLog: async () => withMethods<Log>(openMemoryLog(cluster, streams), { read }),
    openSink: async () => openMemorySink(store, { mappings: [] }),
  };
  const sessions = async (count: number, partitions: readonly PartitionId[]) => {
    share = partitions;
    for (let session = 0; session < count; session += 1)
      await expect(applySession(parts, { signal: new AbortController().signal, ready: none, progressed: none })).rejects.toBe(away);
  };
  await sessions(5, [first, second]);
  await sessions(5, [second]);
  await sessions(2, []);
  await sessions(1, [second, first]);
  expect(said).toEqual([
    { service: 's', partitions: 2, message: 'partitions claimed' },
    { service: 's', partitions: 1, message: 'partitions claimed' },
    { service: 's', partitions: 0, message: 'every partition has another worker, standing by' },
    { service: 's', partitions: 2, message: 'partitions claimed' },
  ]);
  expect(repeated).toHaveLength(9);
});
