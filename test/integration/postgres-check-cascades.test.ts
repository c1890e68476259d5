/** Foreign keys of the target that change rows by themselves, where parents and children come through different partitions. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { ColumnSchema, TableId } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { Batches, column, mappingTo, postgresFixture, tableOf, type PostgresFixture } from './postgres-fixture.ts';

const brief = (findings: readonly Finding[]) => findings.map(({ level, code, message }) => `${level} ${code} ${message}`);
const shape = (table: string, ...columns: readonly ColumnSchema[]) =>
  tableOf(table, ['id'], [column('id', { nullable: false }), ...columns]);
const logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

let fixture: PostgresFixture;
beforeAll(async () => {
  fixture = await postgresFixture();
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

const cascades = 'CREATE TABLE par (id int PRIMARY KEY, v int UNIQUE); CREATE TABLE chi (id int PRIMARY KEY, pid int REFERENCES par';
const par = shape('par', column('v'));
const chi = shape('chi', column('pid'), column('v'));
const apart = async (fk: string, partitionsOf: (source: TableId) => readonly string[], mappings = [mappingTo(par), mappingTo(chi)]) => {
  await fixture.execute(`DROP TABLE IF EXISTS chi, par; ${fk}`);
  const sink = await openPostgresSink(fixture.settings, { pipeline: 'test', service: 'orders', mappings, logger, partitionsOf });
  try {
    return await sink.check(mappings.map(({ source }) => (source.table === 'par' ? par : chi)));
  } finally {
    await sink[Symbol.asyncDispose]();
  }
};
const streams = ({ table }: TableId) => [`t.${table}#0`];

test.each([
  ['ON DELETE CASCADE', `${cascades} ON DELETE CASCADE, v int)`, 'ON DELETE CASCADE'],
  ['ON DELETE SET NULL', `${cascades} ON DELETE SET NULL, v int)`, 'ON DELETE SET NULL'],
  ['ON UPDATE of a column that is no key', `${cascades} (v) ON UPDATE CASCADE, v int)`, 'ON UPDATE CASCADE'],
  ['both', `${cascades} (v) ON DELETE SET DEFAULT ON UPDATE SET NULL, v int)`, 'ON DELETE SET DEFAULT ON UPDATE SET NULL'],
])('G1: %s is refused, and the fix is a constraint that only refuses', async (_name, fk, said) => {
  const findings = await apart(fk, streams);
  expect(brief(findings)).toEqual([
    expect.stringMatching(new RegExp(`^error TARGET_CONSTRAINT foreign key "chi_pid_fkey" of public\\.chi is ${said}: `)),
  ]);
  await fixture.execute(findings[0]?.fix ?? '');
  const definition = await fixture.rows(`SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'chi_pid_fkey'`);
  expect(definition[0]?.[0]).toMatch(/^FOREIGN KEY \(pid\) REFERENCES par\((id|v)\) DEFERRABLE$/);
});

test('in one partition, and of a table that nobody maps, it is a warning; ON UPDATE of the key is nothing', async () => {
  const fk = `${cascades} ON DELETE CASCADE, v int)`;
  expect(brief(await apart(fk, () => ['one#0']))).toEqual([expect.stringMatching(/^warning TARGET_CONSTRAINT .* a key of public\.par/)]);
  expect(brief(await apart(fk, streams, [mappingTo(par)]))).toEqual([expect.stringMatching(/^warning TARGET_CONSTRAINT /)]);
  expect(await apart(`${cascades} ON UPDATE CASCADE, v int)`, streams)).toEqual([]);
  // One table in several partitions, which points at itself.
  const tree = 'CREATE TABLE par (id int PRIMARY KEY, v int REFERENCES par ON DELETE SET NULL)';
  expect(brief(await apart(tree, () => ['t.par#0', 't.par#1'], [mappingTo(par)]))).toEqual([
    expect.stringMatching(/^error TARGET_CONSTRAINT foreign key "par_v_fkey" of public\.par is ON DELETE SET NULL: /),
  ]);
});

test('G1: a child ahead of its parent keeps its row behind the constraint of the fix', async () => {
  const [{ fix = '' } = {}] = await apart(`${cascades} ON DELETE CASCADE, v int)`, streams);
  await fixture.execute(fix);
  const partitions = ['t.par#0', 't.chi#0'];
  const mappings = [mappingTo(par), mappingTo(chi)];
  const options = { pipeline: 'ahead', service: 'orders', mappings, logger, partitions, onPoison: 'quarantine' } as const;
  await using sink = await openPostgresSink(fixture.settings, options);
  await sink.claim(partitions);
  const [P, C] = partitions.map((partition) => new Batches(partition)) as [Batches, Batches];
  await sink.write(P.of([[0, par, { op: 'insert', after: { id: 1, v: 1 } }]]));
  await sink.write(C.of([[1, chi, { op: 'insert', after: { id: 7, pid: 1, v: 1 } }]]));
  // The source: delete of the child, delete and insert of the parent, insert of the child.
  await sink.write(C.of([[1, chi, { op: 'delete', before: { id: 7, pid: 1, v: 1 } }]]));
  await sink.write(C.of([[1, chi, { op: 'insert', after: { id: 7, pid: 1, v: 2 } }]]));
  await sink.write(P.of([[0, par, { op: 'delete', before: { id: 1, v: 1 } }]]));
  await sink.write(P.of([[0, par, { op: 'insert', after: { id: 1, v: 2 } }]]));
  for (let freed = 1; freed > 0;) freed = (await sink.tend?.(undefined)) ?? 0;
  expect(await fixture.rows('SELECT id, v FROM par')).toEqual([['1', '2']]);
  expect(await fixture.rows('SELECT id, v FROM chi')).toEqual([['7', '2']]);
  expect(await sink.quarantine?.list('all')).toEqual([]);
});
