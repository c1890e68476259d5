/** The two data sets of every figure: made from a seed, so that each run and each peer gets the same rows. */
import { Random } from '../demo/random.ts';

export interface DataSet {
  readonly name: 'bulk' | 'oltp';
  /** The same name in the source's database and in Postgres. */
  readonly table: string;
  /** Statements with their BEGIN and COMMIT, many transactions in each text. */
  readonly texts: () => Generator<string>;
  readonly counts: Counts;
}

interface Counts {
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  /** Of the row that is inserted by the very last transaction: when it is visible, everything is. */
  readonly lastKey: number;
}

export const changesOf = ({ counts }: DataSet) => counts.inserts + counts.updates + counts.deletes;
/** That are there at the end. */
export const rowsOf = ({ counts }: DataSet) => counts.inserts - counts.deletes;
/** A delete is followed by its tombstone. */
export const recordsOf = (set: DataSet) => changesOf(set) + set.counts.deletes;

export const tableDefinition = (table: string) => `CREATE TABLE ${table} (
  id bigint unsigned NOT NULL,
  customer_id int NOT NULL,
  sku varchar(32) NOT NULL,
  title varchar(120) NOT NULL,
  status enum('new','paid','packed','shipped','returned') NOT NULL,
  amount decimal(12,2) NOT NULL,
  quantity int NOT NULL,
  created_at datetime(3) NOT NULL,
  updated_at timestamp NOT NULL,
  note text,
  PRIMARY KEY (id))`;

const statuses = ['new', 'paid', 'packed', 'shipped', 'returned'] as const;
const words = ['walnut', 'cotton', 'glass', 'steel', 'linen', 'copper', 'birch', 'clay', 'wool', 'paper', 'bamboo', 'leather'] as const;

/** 1,000,000 inserts at scale 1, 1,000 rows a statement, each statement a transaction. */
export function bulkSet(scale: number): DataSet {
  const rows = Math.max(1000, Math.round((1_000_000 * scale) / 1000) * 1000);
  return {
    name: 'bulk',
    table: 'bench_bulk',
    counts: { inserts: rows, updates: 0, deletes: 0, lastKey: rows },
    *texts() {
      const random = new Random(7);
      for (let from = 1; from <= rows; from += 1000) {
        const values = Array.from({ length: 1000 }, (_, index) => rowText(random, from + index));
        yield `INSERT INTO bench_bulk VALUES ${values.join(',')}`;
      }
    },
  };
}

/** About 282,875 changes at scale 1: 64 % inserts, 27 % updates, 9 % deletes, in transactions of 1 to 5. */
export function oltpSet(scale: number): DataSet {
  const changes = Math.max(1000, Math.round(282_875 * scale));
  return {
    name: 'oltp',
    table: 'bench_oltp',
    counts: countOltp(changes),
    *texts() {
      for (const { text } of oltpTexts(changes)) yield text;
    },
  };
}

function countOltp(changes: number): Counts {
  let last: Counts | undefined;
  for (const { counts } of oltpTexts(changes)) last = counts;
  if (!last) throw new RangeError('an oltp set has at least one change');
  return last;
}

const transactionsPerText = 100;

function* oltpTexts(changes: number): Generator<{ text: string; counts: Counts }> {
  const random = new Random(11);
  const live: number[] = [];
  const done = { inserts: 0, updates: 0, deletes: 0, lastKey: 0 };
  const insert = () => {
    done.inserts += 1;
    done.lastKey += 1;
    live.push(done.lastKey);
    return `INSERT INTO bench_oltp VALUES ${rowText(random, done.lastKey)};`;
  };
  const change = () => {
    const roll = random.next();
    if (roll < 0.64 || live.length < 100) return insert();
    const index = random.integer(0, live.length - 1);
    const id = live[index] ?? 0;
    if (roll < 0.91) {
      done.updates += 1;
      return `UPDATE bench_oltp SET status='${random.pick(statuses)}', amount=amount+1, quantity=quantity+${random.integer(1, 9)} WHERE id=${id};`;
    }
    done.deletes += 1;
    // The order of `live` carries no meaning: the hole is filled with the last.
    live[index] = live.at(-1) ?? 0;
    live.pop();
    return `DELETE FROM bench_oltp WHERE id=${id};`;
  };
  const made = () => done.inserts + done.updates + done.deletes;
  while (made() < changes - 1) {
    let text = '';
    for (let transaction = 0; transaction < transactionsPerText && made() < changes - 1; transaction += 1) {
      text += 'BEGIN;';
      for (let left = Math.min(random.integer(1, 5), changes - 1 - made()); left > 0; left -= 1) text += change();
      text += 'COMMIT;';
    }
    yield { text, counts: { ...done } };
  }
  const text = insert();
  yield { text, counts: { ...done } };
}

function rowText(random: Random, id: number): string {
  const sku = `SKU-${random.integer(0, 99_999).toString().padStart(5, '0')}`;
  const title = `${random.pick(words)} ${random.pick(words)} ${random.pick(words)} no. ${random.integer(1, 9999)}`;
  const second = (1_700_000_000 + Math.floor(id / 50)) * 1000 + random.integer(0, 999);
  const time = new Date(second).toISOString().replace('T', ' ');
  const note = random.chance(0.3) ? 'NULL' : `'${random.pick(words)} and ${random.pick(words)}, as agreed on the phone, order ${id}'`;
  const amount = (random.integer(100, 999_999) / 100).toFixed(2);
  return `(${id},${random.integer(1, 50_000)},'${sku}','${title}','${random.pick(statuses)}',${amount},${random.integer(1, 99)},'${time.slice(0, 23)}','${time.slice(0, 19)}',${note})`;
}
