/**
 * What must be true, told from the server's binlog alone: the records that every partition has to hold, and the rows
 * that a target has to hold once it has applied a partition up to a version.
 */
import type { MemoryServer, StoredRow } from '../../connectors/memory/server.ts';
import { keyText } from '../../src/core/canonical.ts';
import type { Row } from '../../src/core/change.ts';
import { tableName } from '../../src/core/change.ts';
import { partitionId, partitionOf, partitionsOf } from '../../src/core/partition.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { rowJson } from '../../src/core/row-json.ts';
import { type Half, versionOf, versionPrefix } from '../../src/core/version.ts';
import type { Plan } from '../support/histories.ts';

export interface ExpectedRecord {
  readonly version: string;
  /** The number of transactions before its own. */
  readonly transaction: number;
  readonly table: string;
  /** The key in the log's own text (null for a TRUNCATE), and as a target keys its rows. */
  readonly keyJson: string | null;
  readonly key: string;
  readonly tombstone: boolean;
  /** undefined: the row is gone; of a TRUNCATE, all rows of the table. */
  readonly row: Row | undefined;
}

export class Oracle {
  readonly #server: MemoryServer;
  readonly #plan: Plan;
  readonly #records = new Map<PartitionId, ExpectedRecord[]>();
  #seen = 0;
  /** What the log promises to hold begins behind so many transactions. */
  start: number | undefined;

  constructor(server: MemoryServer, plan: Plan) {
    this.#server = server;
    this.#plan = plan;
  }

  /** Every partition that has any record, in the order in which it must hold them. */
  records(): ReadonlyMap<PartitionId, readonly ExpectedRecord[]> {
    if (this.start === undefined) return new Map();
    if (this.#seen < this.start) this.#seen = this.start;
    const { transactions } = this.#server;
    for (; this.#seen < transactions.length; this.#seen += 1) {
      const transaction = transactions[this.#seen];
      if (!transaction) break;
      const prefix = versionPrefix({ epoch: 1, file: transaction.file, offset: transaction.offset });
      for (const [ordinal, row] of transaction.rows.entries()) this.#row(row, (half) => versionOf(prefix, ordinal, half));
    }
    return this.#records;
  }

  #row({ schema, op, before, after }: StoredRow, version: (half: Half) => string): void {
    const table = tableName(schema.table);
    const stream = this.#plan.routing.get(table);
    if (!stream) return;
    const put = (partition: PartitionId, record: ExpectedRecord) => {
      const records = this.#records.get(partition);
      if (records) records.push(record);
      else this.#records.set(partition, [record]);
    };
    if (op === 't') {
      const record = { version: version(0), transaction: this.#seen, table, keyJson: null, key: '', tombstone: false, row: undefined };
      for (const partition of partitionsOf(stream)) put(partition, record);
    }
    const add = (half: Half, of: Row, row: Row | undefined) => {
      const keyJson = rowJson(schema.key, of);
      const partition = partitionId(stream.topic, partitionOf(Buffer.from(keyJson), stream.partitions));
      const key = keyText(schema.key, of);
      put(partition, { version: version(half), transaction: this.#seen, table, keyJson, key, tombstone: half === 1, row });
    };
    const moved = op === 'u' && before && after && keyText(schema.key, before) !== keyText(schema.key, after);
    if (before && (op === 'd' || moved)) {
      add(0, before, undefined);
      add(1, before, undefined);
    }
    if (after) add(2, after, after);
  }
}

interface Moment {
  readonly version: string;
  /** undefined: gone. */
  readonly row: Row | undefined;
}

/** The rows of one partition as a target must hold them, moved forward with the target's progress. */
export class ExpectedState {
  /** Table → key → row; undefined where a row was and is gone. */
  readonly rows = new Map<string, Map<string, Row | undefined>>();
  /** Table and key → what it went through, in order. */
  readonly #lives = new Map<string, Moment[]>();
  #applied = 0;
  version = '';

  /** Applies the records up to and with `version`; false where no record has this version or it lies behind. */
  advance(records: readonly ExpectedRecord[], version: string): boolean {
    if (version === this.version) return true;
    const from = this.#applied;
    while (this.#applied < records.length) {
      const record = records[this.#applied] as ExpectedRecord;
      if (record.version > version) break;
      this.#applied += 1;
      let table = this.rows.get(record.table);
      if (!table) this.rows.set(record.table, (table = new Map()));
      for (const key of record.keyJson === null ? table.keys() : [record.key]) {
        table.set(key, record.row);
        if (!record.tombstone) this.#life(record.table, key).push({ version: record.version, row: record.row });
      }
    }
    this.version = version;
    return this.#applied > from && records[this.#applied - 1]?.version === version;
  }

  /** The row that this key had in front of a version; `without`: versions of changes that a person discarded. */
  before(table: string, key: string, version: string, without: ReadonlySet<string>): Row | undefined {
    return this.#life(table, key).findLast((moment) => moment.version < version && !without.has(moment.version))?.row;
  }

  /** The versions of this key's changes from that one on. */
  since(table: string, key: string, version: string): readonly string[] {
    return this.#life(table, key).flatMap((moment) => (moment.version < version ? [] : [moment.version]));
  }

  #life(table: string, key: string): Moment[] {
    const name = `${table} ${key}`;
    let life = this.#lives.get(name);
    if (!life) this.#lives.set(name, (life = []));
    return life;
  }

  /** True when the next record belongs to the transaction of the last one applied: the target shows half of it. */
  cutsTransaction(records: readonly ExpectedRecord[]): boolean {
    const last = records[this.#applied - 1];
    return last !== undefined && records[this.#applied]?.transaction === last.transaction;
  }
}
