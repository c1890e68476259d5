import { redisSchema } from '../../connectors/redis/config.ts';
import { versionField } from '../../connectors/redis/row-batch.ts';
import { openRedisSink } from '../../connectors/redis/sink.ts';
import type { Row, TableSchema, Value } from '../../src/core/change.ts';
import type { Logger } from '../../src/core/ports.ts';
import { freshRedisPrefix } from '../support/servers.ts';
import { startRedisProxy } from './redis-proxy.ts';
import { contractTables } from './sink-histories.ts';
import { contractMapping, sinkContract, type SinkHarness } from './sink.contract.ts';

const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A stranger's reading of one hash: absent fields are NULL. */
function rowOf(schema: TableSchema, fields: Readonly<Record<string, string>>): Row {
  const row: Record<string, Value> = {};
  for (const { name, kind } of schema.columns) {
    const text = fields[name];
    row[name] = text === undefined ? null : kind === 'integer' ? Number(text) : text;
  }
  const unknown = Object.keys(fields).filter((name) => name !== versionField && !(name in row));
  if (unknown.length > 0) throw new Error(`fields that no column has: ${unknown.join(', ')}`);
  return row;
}

async function makeHarness(): Promise<SinkHarness> {
  const redis = await freshRedisPrefix();
  const proxy = await startRedisProxy(redis.url);
  const settings = redisSchema.parse(proxy.url);
  const families = contractTables.map(({ table }) => `${redis.prefix}${table.table}:`);
  const mappings = contractTables.map((schema, index) => ({
    ...contractMapping(index, ''),
    options: { shape: 'hash', key: `${families[index]}${schema.key.map((name) => `{${name}}`).join(':')}` },
  }));
  const pipeline = redis.prefix.slice(0, -1);
  const keys = (pattern: string) => redis.client.keys(pattern);
  const remove = async (pattern: string) => {
    const found = await keys(pattern);
    if (found.length > 0) await redis.client.del(found);
  };
  return {
    propertyRuns: 25,
    open: (other) =>
      openRedisSink(settings, {
        pipeline: other === undefined ? pipeline : `${pipeline}-${other}`,
        service: 'people',
        mappings,
        logger: quiet,
      }),
    rows: async (mapping) => {
      const schema = contractTables[mapping];
      if (!schema) throw new Error(`no mapping ${mapping}`);
      const found = await keys(`${families[mapping]}*`);
      return Promise.all(found.map(async (key) => rowOf(schema, await redis.client.hgetall(key))));
    },
    clear: () => remove(`${redis.prefix}*`),
    loseNextReply: () => proxy.loseNextWriteAnswer(),
    [Symbol.asyncDispose]: async () => {
      await remove(`crossfade:{${pipeline}*`);
      await proxy[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

sinkContract('redis', { atomicTransactions: false }, makeHarness);
