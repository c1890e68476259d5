/** What a simulated history is made of: which tables, streams and services there are, and what the workload does. */
import type { MemoryServer, MemoryStatement } from '../../connectors/memory/server.ts';
import { keyText } from '../../src/core/canonical.ts';
import type { ColumnSchema, Row, TableId } from '../../src/core/change.ts';
import { tableName } from '../../src/core/change.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import type { StreamSpec } from '../../src/core/log-port.ts';
import type { Random } from './random.ts';

interface PlannedTable {
  readonly id: TableId;
  readonly columns: readonly ColumnSchema[];
  readonly key: readonly string[];
}
export interface PlannedService {
  readonly name: string;
  readonly mappings: readonly Mapping[];
}
export interface Plan {
  readonly tables: readonly PlannedTable[];
  readonly unmapped: PlannedTable;
  readonly streams: readonly StreamSpec[];
  /** `db.table` → its stream. */
  readonly routing: ReadonlyMap<string, StreamSpec>;
  readonly services: readonly PlannedService[];
  readonly transactions: number;
  /** The source's ceiling: small, so that many transactions come in parts. */
  readonly batchBytes: number;
  readonly completeEveryMs: number;
}

const integer = (name: string): ColumnSchema => ({ name, kind: 'integer', nullable: false, type: 'int', bits: 32, unsigned: false });
const text = (name: string): ColumnSchema => ({ name, kind: 'string', nullable: true, type: 'varchar(400)', length: 400 });

function planTable(table: string, random: Random): PlannedTable {
  const id = { database: 'shop', table };
  const columns = [integer('id'), text('kind'), text('name'), integer('n')];
  return { id, columns, key: random.chance(0.3) ? ['kind', 'id'] : ['id'] };
}

export function planHistory(random: Random): Plan {
  const tables = ['people', 'orders', 'stock'].slice(0, random.between(1, 3)).map((name) => planTable(name, random));
  const streams: StreamSpec[] = [];
  const routing = new Map<string, StreamSpec>();
  for (const { id } of tables) {
    const shared = streams.length > 0 && random.chance(0.4);
    const stream = shared
      ? random.pick(streams)
      : { topic: `sim.${streams.length}`, partitions: random.chance(0.5) ? 1 : random.between(2, 4) };
    if (!shared) streams.push(stream);
    routing.set(tableName(id), stream);
  }
  const services = Array.from({ length: random.between(1, 3) }, (_, index) => {
    const some = tables.filter(() => random.chance(0.7));
    const mapped = some.length > 0 ? some : tables;
    const mappings = mapped.map(({ id }) => ({ source: id, transforms: [], target: `t_${id.table}`, options: {} }));
    return { name: `service${index}`, mappings };
  });
  return {
    tables,
    unmapped: planTable('audit', random),
    streams,
    routing,
    services,
    transactions: random.between(10, 50),
    batchBytes: random.pick([150, 600, 3000, 20_000]),
    completeEveryMs: random.pick([0, 300, 1000, 3000]),
  };
}

/** One transaction over the tables as they are now, so that every statement is possible. */
export function randomTransaction(server: MemoryServer, plan: Plan, random: Random): MemoryStatement[] {
  const all = [...plan.tables, ...plan.tables, plan.unmapped];
  const state = new Map<PlannedTable, Map<string, Row>>();
  const length = random.chance(0.08) ? random.between(15, 40) : random.between(1, 5);
  const statements: MemoryStatement[] = [];
  for (let index = 0; index < length; index += 1) {
    const table = random.pick(all);
    let rows = state.get(table);
    if (!rows) state.set(table, (rows = new Map(server.rows(table.id))));
    statements.push(randomStatement(table, rows, random));
  }
  return statements;
}

function randomStatement(table: PlannedTable, rows: Map<string, Row>, random: Random): MemoryStatement {
  const wanted = randomKey(random);
  const free = !rows.has(keyText(table.key, wanted));
  if (rows.size === 0 || (free && random.chance(0.4))) {
    const row = free ? { ...wanted, ...randomValues(random) } : undefined;
    if (row) {
      rows.set(keyText(table.key, row), row);
      return { op: 'insert', table: table.id, row };
    }
  }
  const [from, before] = random.pick([...rows]);
  if (random.chance(0.25)) {
    rows.delete(from);
    return { op: 'delete', table: table.id, key: before };
  }
  const set = free && random.chance(0.3) ? { ...wanted, ...randomValues(random) } : randomValues(random);
  const after = { ...before, ...set };
  rows.delete(from);
  rows.set(keyText(table.key, after), after);
  return { op: 'update', table: table.id, key: before, set };
}

/** Few keys, so that they meet often. */
const randomKey = (random: Random) => ({ id: random.int(8), kind: random.pick(['a', 'b']) });

function randomValues(random: Random): Row {
  const name = random.chance(0.1) ? null : 'v'.repeat(random.chance(0.1) ? 150 : 5) + String(random.int(1e6));
  return { name, n: random.int(1000) };
}
