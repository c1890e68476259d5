import { postgresSchema } from '../../connectors/postgres/config.ts';
import { createTableStatement } from '../../connectors/postgres/ddl.ts';
import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { Row } from '../../src/core/change.ts';
import type { Logger } from '../../src/core/ports.ts';
import { freshPostgresDatabase } from '../support/servers.ts';
import { startPostgresProxy } from './postgres-proxy.ts';
import { contractTables } from './sink-histories.ts';
import { contractMapping, sinkContract, type SinkHarness } from './sink.contract.ts';

const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function makeHarness(): Promise<SinkHarness> {
  const database = await freshPostgresDatabase();
  const proxy = await startPostgresProxy(database.url);
  const tables = contractTables.map((schema) => `"${schema.table.table}"`);
  for (const [index, schema] of contractTables.entries()) await database.client.query(createTableStatement(tables[index] ?? '', schema));
  const settings = postgresSchema.parse(proxy.url);
  const mappings = contractTables.map((schema, index) =>
    contractMapping(index, index === 0 ? schema.table.table : `public.${schema.table.table}`),
  );
  return {
    propertyRuns: 25,
    open: (pipeline = 'contract') => openPostgresSink(settings, { pipeline, service: 'people', mappings, logger: quiet }),
    rows: async (mapping) => {
      const columns = (contractTables[mapping]?.columns ?? []).map(
        ({ name, kind }) => `"${name}"${kind === 'integer' ? '::int' : '::text'}`,
      );
      return (await database.client.query<Row>(`SELECT ${columns.join(', ')} FROM ${tables[mapping]}`)).rows;
    },
    clear: async () => {
      await database.client.query(`TRUNCATE ${tables.join(', ')}`);
    },
    loseNextReply: () => proxy.loseNextCommitAnswer(),
    refusing: {
      open: (options) => openPostgresSink(settings, { pipeline: 'refusing', service: 'people', mappings, logger: quiet, ...options }),
      constrain: async (isOn) => {
        const change = isOn ? 'ADD CONSTRAINT one_balance UNIQUE (balance)' : 'DROP CONSTRAINT IF EXISTS one_balance';
        await database.client.query(`ALTER TABLE ${tables[0]} ${change}`);
      },
      cut: () => proxy.cut(),
    },
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

sinkContract('postgres', { atomicTransactions: true, quarantine: true }, makeHarness);
