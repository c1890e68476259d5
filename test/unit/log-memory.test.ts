import { openMemoryLog, type MemoryLog } from '../../connectors/memory/log.ts';
import { MemoryLogCluster } from '../../connectors/memory/log-cluster.ts';
import { codec } from '../../src/codec.ts';
import { logContract } from '../contract/log.contract.ts';

logContract('memory log', async (streams) => {
  const cluster = new MemoryLogCluster({ codec });
  const logs: MemoryLog[] = [];
  return {
    open: async (options = {}) => {
      const { streams: other, ...limits } = options;
      const log = openMemoryLog(cluster, other ?? streams, limits);
      logs.push(log);
      return log;
    },
    kill: async (log) => (log as MemoryLog).crash(),
    depose: async () => cluster.depose(),
    expel: async () => {
      for (const log of logs) cluster.expel(log);
    },
    plant: async (partition, batch) => cluster.plant(partition, batch),
    gap: async (partition) => cluster.gap(partition),
    truncateBelow: async (partition, offset) => cluster.truncateBelow(partition, offset),
    [Symbol.asyncDispose]: async () => {
      for (const log of logs) await log[Symbol.asyncDispose]();
    },
  };
});
