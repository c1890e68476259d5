import { expect, test } from 'vitest';
import { MemoryServer } from '../../connectors/memory/server.ts';
import { openMemorySource } from '../../connectors/memory/source.ts';
import type { ColumnSchema } from '../../src/core/change.ts';
import { sourceContract } from '../contract/source.contract.ts';
import { contractColumns, contractTables, type SourceHarness } from '../support/source-harness.ts';

const database = 'shop';

function makeServer(): MemoryServer {
  const server = new MemoryServer();
  for (const table of contractTables) server.createTable({ database, table }, contractColumns, ['id']);
  return server;
}

sourceContract('memory', async (): Promise<SourceHarness> => {
  const server = makeServer();
  return {
    database,
    open: async (tables, options) => openMemorySource(server, { tables, heartbeatMs: 5, batchTransactions: () => 3, ...options }),
    execute: async (statements) => server.commit(statements),
    rollback: async () => undefined,
    truncate: async (table) => server.truncate(table),
    addColumn: async (table, name) => {
      const column: ColumnSchema = { name, kind: 'string', nullable: true, type: 'varchar(40)', length: 40 };
      server.addColumn(table, column);
    },
    rotate: async () => server.rotate(),
    purge: async () => server.purge(),
    disconnect: async () => server.disconnect(),
    loseLast: async () => server.loseLast(1),
    buffer: { bytes: () => 0, ceilingBytes: 0 },
    [Symbol.asyncDispose]: async () => undefined,
  };
});

test('an impossible statement rolls its whole transaction back', () => {
  const server = makeServer();
  const people = { database, table: 'people' };
  server.commit([{ op: 'insert', table: people, row: { id: 1, name: 'a', score: 1 } }]);
  const before = [...server.rows(people)];
  const count = server.transactions.length;
  expect(() =>
    server.commit([
      { op: 'update', table: people, key: { id: 1 }, set: { id: 2, name: 'b' } },
      { op: 'insert', table: people, row: { id: 1, name: 'c', score: 1 } },
      { op: 'insert', table: people, row: { id: 2, name: 'd', score: 1 } },
    ]),
  ).toThrow('duplicate key');
  expect([...server.rows(people)]).toEqual(before);
  expect(server.transactions.length).toBe(count);
});

test('its tables after every transaction can be told from the binlog alone', () => {
  const server = makeServer();
  const people = { database, table: 'people' };
  server.commit([{ op: 'insert', table: people, row: { id: 1, name: 'a', score: 1 } }]);
  server.commit([{ op: 'update', table: people, key: { id: 1 }, set: { id: 2 } }]);
  server.commit([{ op: 'delete', table: people, key: { id: 2 } }]);
  const counts = [0, 1, 2, 3].map((back) => server.rowsAfter(people, server.transactions.length - back).size);
  expect(counts).toEqual([0, 1, 1, 0]);
  server.loseLast(1);
  expect(server.rows(people)).toEqual(server.rowsAfter(people, server.transactions.length));
  expect(server.rows(people).size).toBe(1);
  server.truncate(people);
  expect([server.rows(people).size, server.rowsAfter(people, server.transactions.length).size]).toEqual([0, 0]);
  server.loseLast(1);
  expect(server.rows(people).size).toBe(1);
});
