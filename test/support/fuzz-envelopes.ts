/** Envelopes as our own writer makes them, of one table with a column of every kind that has rules of its own. */
import type { Row, TableSchema, Value } from '../../src/core/change.ts';
import { EnvelopeWriter } from '../../src/core/envelope-writer.ts';
import { rowJson } from '../../src/core/row-json.ts';
import type { Transaction } from '../../src/core/source-port.ts';
import type { Random } from './random.ts';

export const fuzzSchema: TableSchema = {
  id: 'cafe0123cafe0123',
  table: { database: 'shop', table: 'things' },
  columns: [
    { name: 'id', kind: 'integer', nullable: false, type: 'bigint unsigned', bits: 64, unsigned: true },
    { name: 'name', kind: 'string', nullable: true, type: 'text' },
    { name: 'price', kind: 'decimal', nullable: true, type: 'decimal(12,2)', precision: 12, scale: 2 },
    { name: 'ratio', kind: 'double', nullable: true, type: 'double' },
    { name: 'flag', kind: 'boolean', nullable: true, type: 'bit(1)', bits: 1 },
    { name: 'raw', kind: 'bytes', nullable: true, type: 'blob' },
  ],
  key: ['id'],
};

const transaction: Transaction = {
  id: '3e11fa47-71ca-11e1-9e33-c80aa9429562:7',
  gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:7',
  file: 'binlog.000007',
  serverId: 1,
  committedAtUs: 1_700_000_000_000_000,
  versionPrefix: '',
};
const writer = new EnvelopeWriter('fuzz');

const orNull = (random: Random, value: Value): Value => (random.chance(0.15) ? null : value);
const words = ['', 'plain', 'quote " and \\', 'tab\t\n', 'žluťoučký', '日本語', '😀', '\u0000', '\u2028'] as const;

function rowOf(random: Random): Row {
  return {
    id: random.pick([0, 1, random.int(1e9), 9_007_199_254_740_993n, 18_446_744_073_709_551_615n]),
    name: orNull(random, `${random.pick(words)}${random.pick(words)}`),
    price: orNull(random, `${random.int(1e6)}.${random.between(10, 99)}`),
    ratio: orNull(random, random.pick([0, -0, 1.5, 1e300, -2.5e-7, 123456789012])),
    flag: orNull(random, random.chance(0.5)),
    raw: orNull(
      random,
      Uint8Array.from({ length: random.int(9) }, () => random.int(256)),
    ),
  };
}

const names = fuzzSchema.columns.map(({ name }) => name);

export function envelopeOf(random: Random): Buffer {
  const op = random.pick(['c', 'u', 'd'] as const);
  const image = () => Buffer.from(rowJson(names, rowOf(random)));
  const before = op === 'c' ? null : image();
  const after = op === 'd' ? null : image();
  const place = { ordinal: 0, pos: 4711, row: 0, key: Buffer.from('{"id":1}'), oldKey: null };
  const change = { transaction, schema: fuzzSchema, op, before, after, ...place };
  return Buffer.from(writer.write(change, op, { total: 1, collection: 1 }, 1_700_000_000_001));
}
