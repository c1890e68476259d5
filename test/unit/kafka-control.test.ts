import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCompacted, type KeyedRecord } from '../../connectors/kafka/compacted.ts';
import {
  completeRecords,
  type ControlRecord,
  ControlState,
  schemaRecord,
  startRecord,
  termRecords,
} from '../../connectors/kafka/control.ts';
import { encodeControlBatch } from '../../connectors/kafka/control-batch.ts';
import { splitRecordSet } from '../../connectors/kafka/record-set.ts';
import { nameFindings, TopicNames } from '../../connectors/kafka/topic-names.ts';
import { codec } from '../../src/codec.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { rows } from '../contract/log-rows.ts';

const last = (offset: number, term: number) => ({ offset, term, version: `v${offset}`, transactionId: `gtid:${offset}` });
const schema = (id: string) => ({ id, table: { database: 'shop', table: 'people' }, columns: [], key: ['id'] });

function replayed(records: readonly (KeyedRecord | undefined)[]): ControlState {
  const state = new ControlState();
  for (const record of records) if (record) state.replay(record, 'control#0');
  return state;
}
const numbered = (records: readonly ControlRecord[]): KeyedRecord[] =>
  records.map(({ key, value }, offset) => ({ offset, key: key.toString(), value }));
const shown = (state: ControlState) => ({
  term: state.term,
  start: state.start,
  complete: state.complete,
  ends: new Map(state.ends),
  schemas: new Map(state.schemas),
  floors: ['a#0', 'a#1'].map((partition) => state.floor(partition)),
});

const step = fc.record({
  kind: fc.constantFrom('complete', 'schema', 'takeover'),
  partition: fc.constantFrom('a#0', 'a#1'),
  advance: fc.integer({ min: 1, max: 9 }),
});

test('a compacted control topic adds up to the same as all that was ever written', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.infiniteStream(fc.boolean()), (steps, dropped) => {
      const records: ControlRecord[] = [
        ...termRecords({ term: 1, who: 'a', sinceMs: 0 }, []),
        startRecord(1, { position: 'p', writtenAtMs: 0 }),
      ];
      let [term, end] = [1, 0];
      for (const { kind, partition, advance } of steps) {
        end += advance;
        const moved = [[partition, { end, last: last(end - 1, term) }]] as const;
        if (kind === 'schema') records.push(schemaRecord(term, schema(`s${advance}`)));
        else if (kind === 'complete')
          records.push(...completeRecords({ position: `p${end}`, throughUs: end, writtenAtMs: end, term }, moved));
        else records.push(...termRecords({ term: (term += 1), who: 'b', sinceMs: end }, moved));
      }
      const all = numbered(records);
      const newest = new Map(all.map(({ key, offset }) => [key, offset]));
      const some = all.filter(({ key, offset }) => newest.get(key) === offset || !dropped.next().value);
      expect(shown(replayed(some))).toEqual(shown(replayed(all)));
    }),
  );
});

test('what a frozen leader wrote behind its successor is no record', () => {
  const mark = (term: number, position: string) => ({ position, throughUs: 1, writtenAtMs: 1, term });
  const ends = (term: number, end: number) => [['a#0', { end, last: last(end - 1, term) }]] as const;
  const state = replayed(
    numbered([
      ...completeRecords(mark(1, 'one'), ends(1, 5)),
      ...termRecords({ term: 2, who: 'b', sinceMs: 1 }, ends(1, 7)),
      ...completeRecords(mark(1, 'stale'), ends(1, 99)),
      schemaRecord(1, schema('stale')),
    ]),
  );
  expect([state.term, state.complete?.position, state.complete?.ends, state.schemas.size]).toEqual([2, 'one', { 'a#0': 5 }, 0]);
  expect(state.floor('a#0')?.end).toBe(7);
});

test('a batch of control records comes back as it was written, and one that compaction thinned out too', () => {
  const records = completeRecords({ position: 'p', throughUs: 1, writtenAtMs: 1, term: 1 }, [['a#0', { end: 3, last: last(2, 1) }]]);
  const bytes = encodeControlBatch(records, { id: 1n, epoch: 0, sequence: 0 }, codec, 5);
  const [batch] = splitRecordSet(bytes, 'c#0', 0);
  if (!batch) throw new Error('no batch');
  const decoded = decodeCompacted(batch, codec, 'c#0@0');
  expect(decoded.map(({ key, value, offset }) => [offset, key, value?.toString()])).toEqual(
    records.map(({ key, value }, offset) => [offset, key.toString(), value.toString()]),
  );
  const damaged = Buffer.from(bytes);
  damaged[damaged.length - 3] = (damaged[damaged.length - 3] as number) ^ 1;
  const [broken] = splitRecordSet(damaged, 'c#0', 0);
  expect(() => broken && decodeCompacted(broken, codec, 'c#0@0')).toThrow(expect.objectContaining({ code: 'LOG_CORRUPT' }) as Error);
  expect(() => replayed([{ offset: 0, key: 'complete', value: Buffer.from('{}') }])).toThrow(CrossfadeError);
});

test('a fetched set is split at whole batches wherever the broker cut it, and begins where it is wanted', () => {
  const batches = [rows(0, 3), rows(3, 50), rows(50, 51)];
  let base = 100;
  const parts = batches.map((batch) => {
    const bytes = Buffer.from(batch.finish(codec, base));
    base += batch.count;
    return bytes;
  });
  const set = Buffer.concat(parts);
  const bounds = parts.map((_, n) => parts.slice(0, n + 1).reduce((sum, part) => sum + part.length, 0));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: set.length }), fc.integer({ min: 100, max: 151 }), (cut, offset) => {
      const found = splitRecordSet(set.subarray(0, cut), 'a#0', offset);
      const ends = [103, 150, 151];
      const whole = ends.filter((end, n) => (bounds[n] as number) <= cut && end > offset);
      expect(found.map(({ nextOffset }) => nextOffset)).toEqual(whole);
    }),
  );
});

test('no two of our names meet in Kafka, and what it would not take is said', () => {
  const names = new TopicNames('shop', 'team.');
  expect([names.control, names.topic('shop.a.b'), names.group('orders')]).toEqual([
    'team.shop.control',
    'team.shop.a.b',
    'team.shop.orders',
  ]);
  expect(names.stream(names.partition('shop.a.b#3'))).toBe('shop.a.b#3');
  expect([names.service('team.shop.orders'), names.service(names.captureGroup), names.service('team.shop2.orders')]).toEqual([
    'orders',
    undefined,
    undefined,
  ]);
  expect(nameFindings(names, [{ topic: 'shop.a.b', partitions: 1 }])).toEqual([]);
  const bad = nameFindings(names, [
    { topic: 'shop.a.b_c', partitions: 1 },
    { topic: 'shop.a_b.c', partitions: 1 },
    { topic: `shop.${'x'.repeat(250)}`, partitions: 1 },
  ]);
  expect(bad.map(({ where }) => where)).toEqual(['log: team.shop.a_b.c', `log: team.shop.${'x'.repeat(250)}`]);
});
