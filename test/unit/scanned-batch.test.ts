import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { foldedSteps } from '../../connectors/postgres/batch.ts';
import type { TargetColumn } from '../../connectors/postgres/catalog.ts';
import { fitOf } from '../../connectors/postgres/compatibility.ts';
import { keyColumnFault } from '../../connectors/postgres/key-columns.ts';
import { planTable } from '../../connectors/postgres/plan.ts';
import { type Policy, strict } from '../../connectors/postgres/policy.ts';
import type { RowStep } from '../../connectors/postgres/row-steps.ts';
import { scannedSteps } from '../../connectors/postgres/scanned-batch.ts';
import type { ChangeEvent, ColumnKind, ColumnSchema, Row, TableSchema, Value } from '../../src/core/change.ts';
import { readEnvelope } from '../../src/core/envelope.ts';
import { envelopeScanner } from '../../src/core/envelope-scanner.ts';
import type { LogRecord } from '../../src/core/log-port.ts';
import { rowJson } from '../../src/core/row-json.ts';
import { imagesOf, scannedChange } from '../../src/core/scanned-change.ts';
import { versionZero } from '../../src/core/version.ts';
import { project } from '../../transforms/project.ts';
import { rename } from '../../transforms/rename.ts';
import { oddText } from '../contract/sink-histories.ts';
import { envelopeOf, fuzzSchema } from '../support/fuzz-envelopes.ts';
import { seeded } from '../support/random.ts';

const seed = Date.now() % 2 ** 31;
process.stdout.write(`scanned batches: seed ${seed}\n`);

// ---------------------------------------------------------------- columns and their values

const bytes = fc.uint8Array({ maxLength: 9 }).map((some): Value => Buffer.from(some));
const two = (max: number, min = 0) => fc.integer({ min, max }).map((number) => String(number).padStart(2, '0'));
const year = fc.constantFrom('0000', '0018', '0100', '1000', '2024', '2026', '9999');
const date = fc.tuple(year, two(12), two(31)).map((parts) => parts.join('-'));
const clock = fc.tuple(two(23), two(59), two(59)).map((parts) => parts.join(':'));
const integers = fc.oneof(
  fc.integer(),
  fc.constantFrom(0, 1, 7, -1, 2 ** 53 - 1, 9_007_199_254_740_993n, 18_446_744_073_709_551_615n, -9_223_372_036_854_775_808n),
);
const reals = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1e21, 1e300, 5e-324, 123_456_789_012, 2 ** 60),
);
const text = fc.oneof(
  oddText,
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', '\\', '"', '\0', '\ud800', 'a\tb\nc\r\b\f/'),
);
const json = fc.oneof(
  fc.json(),
  fc.constantFrom('{"a":"\\u0000"}', '{"a":1,"a":2}', '["\\\\u0000"]', '{"\\"":"\\n"}', '{"a":[1.50,true,null]}'),
);

const values: Readonly<Partial<Record<ColumnKind, fc.Arbitrary<Value>>>> = {
  integer: integers,
  year: fc.constantFrom(0, 1901, 2155),
  decimal: fc.constantFrom('0.00', '-0.00', '-1.50', '12345678901234567890.12', '7'),
  float: reals,
  double: reals,
  boolean: fc.boolean(),
  bit: bytes,
  bytes,
  string: fc.oneof(text, json, fc.uuid(), fc.ipV4()),
  enum: text,
  set: fc.constantFrom('', 'a', 'a,b', 'a"b,c\\'),
  json,
  uuid: fc.uuid(),
  inet4: fc.ipV4(),
  inet6: fc.ipV6(),
  date,
  datetime: fc.tuple(date, clock).map((parts) => parts.join('T')),
  timestamp: fc.tuple(date, clock).map((parts) => `${parts.join('T')}Z`),
  time: fc.oneof(clock, fc.constantFrom('-00:00:01', '838:59:59', '24:00:00', '24:00:01', '23:59:59.999999')),
};
const kinds = Object.keys(values) as ColumnKind[];

const types = fc.constantFrom('json', 'varchar(40)', 'char(3)', 'binary(16)', 'text', 'bigint');
const bases = (
  'text varchar bpchar citext int2 int4 int8 numeric float4 float8 bool bit varbit bytea date time timestamp timestamptz ' +
  'interval json jsonb uuid inet label _text'
).split(' ');

function targetOf(name: string, base: string, typmod: number, notNull: boolean): TargetColumn {
  const shape = { isArray: base.startsWith('_'), isEnum: base === 'label', labels: ['a', ''], delimiter: ',' };
  return {
    name,
    base,
    castType: base,
    shownType: base,
    typmod,
    notNull,
    hasDefault: false,
    generated: false,
    identityAlways: false,
    ...shape,
  };
}

interface Pair {
  readonly source: ColumnSchema;
  readonly target: TargetColumn;
}

const pair = (index: number, isKey: boolean): fc.Arbitrary<Pair> =>
  fc
    .record({
      kind: fc.constantFrom(...kinds),
      type: types,
      length: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
      bits: fc.constantFrom(8, 16, 32, 64),
      base: fc.constantFrom(...bases),
      typmod: fc.constantFrom(-1, 6, 9, 44),
      notNull: fc.boolean(),
      name: fc.constantFrom('plain', 'with "quotes"', 'back\\slash', 'háček', '日本', '__proto__x'),
    })
    .map(({ kind, type, length, bits, base, typmod, notNull, name: stem }): Pair => {
      const name = `${stem} ${index}`;
      const digits = kind === 'decimal' ? { precision: 12, scale: 2 } : {};
      const source = { name, kind, type, nullable: !notNull, bits, ...digits, ...(length === undefined ? {} : { length }) };
      return { source, target: targetOf(name, base, typmod, notNull || isKey) };
    })
    .filter(({ source, target }) => fitOf(source, target).fit !== 'lossy' && (!isKey || keyColumnFault(source, target) === undefined));

const policy: fc.Arbitrary<Policy> = fc.record({
  nul: fc.constantFrom('stop', 'strip', 'escape'),
  zeroDate: fc.constantFrom('stop', 'null', '0001-01-01'),
  timeRange: fc.constantFrom('stop', 'null'),
  geometry: fc.constant('ewkb'),
  altered: fc.constant(() => undefined),
}) as fc.Arbitrary<Policy>;

// ---------------------------------------------------------------- rows and their records

interface Case {
  readonly pairs: readonly Pair[];
  readonly keys: number;
  readonly policy: Policy;
  readonly changes: readonly (readonly ['c' | 'u' | 'd', Row, Row])[];
}

const cases: fc.Arbitrary<Case> = fc
  .record({ keys: fc.integer({ min: 1, max: 2 }), others: fc.integer({ min: 0, max: 4 }), policy })
  .chain(({ keys, others, policy: chosen }) =>
    fc.tuple(...Array.from({ length: keys + others }, (_, index) => pair(index, index < keys))).chain((pairs) => {
      const cells = pairs.map(({ source }, index) => {
        const value = values[source.kind] as fc.Arbitrary<Value>;
        return index < keys ? value : fc.option(value, { nil: null, freq: 4 });
      });
      const row = fc
        .tuple(...cells)
        .map((list) => Object.fromEntries(pairs.map(({ source }, index) => [source.name, list[index] ?? null])));
      // Few rows to choose from, so that keys meet again.
      const changes = fc.array(row, { minLength: 1, maxLength: 4 }).chain((rows) => {
        const one = fc.constantFrom(...rows);
        return fc.array(fc.tuple(fc.constantFrom('c' as const, 'u' as const, 'd' as const), one, one), { minLength: 1, maxLength: 12 });
      });
      return changes.map((some): Case => ({ pairs, keys, policy: chosen, changes: some }));
    }),
  );

function schemaOf({ pairs, keys }: Case): TableSchema {
  const columns = pairs.map(({ source }) => source);
  return { id: 'cafe', table: { database: 'shop', table: 't' }, columns, key: columns.slice(0, keys).map(({ name }) => name) };
}

function recordOf(value: Uint8Array, offset = 1): LogRecord {
  return { offset, timestampMs: 1, key: null, value, version: versionZero, term: 1, committedAtUs: 1, schemaId: 'cafe', open: false };
}

function valueOf(names: readonly string[], op: 'c' | 'u' | 'd', before: Row, after: Row, transaction: string): Buffer {
  const image = (row: Row, isThere: boolean) => (isThere ? rowJson(names, row) : 'null');
  return Buffer.from(
    `{"before":${image(before, op !== 'c')},"after":${image(after, op !== 'd')},"source":{"version":"0.1.0","connector":"mysql","name":"p","ts_ms":1,` +
      `"snapshot":"false","db":"shop","ts_us":1000,"table":"t","server_id":1,"gtid":${JSON.stringify(transaction)},"file":"b.000001","pos":4,"row":0},` +
      `"transaction":{"id":${JSON.stringify(transaction)},"total_order":1,"data_collection_order":1},"op":"${op}","ts_ms":1}`,
  );
}

const plainOf = (event: ChangeEvent) => {
  const { op, schema, version, committedAtUs, transactionId } = event;
  const before = 'before' in event && event.before !== undefined ? { before: event.before } : {};
  const after = 'after' in event && event.after !== undefined ? { after: event.after } : {};
  return { op, schema, version, committedAtUs, transactionId, ...before, ...after };
};

function eventsOf(given: Case): readonly (readonly [parsed: ChangeEvent, scanned: ChangeEvent])[] {
  const schema = schemaOf(given);
  const names = schema.columns.map(({ name }) => name);
  return given.changes.map(([op, before, after], index) => {
    const record = recordOf(valueOf(names, op, before, after, index % 3 === 0 ? 'T"1\u00e9' : 'T2'), index);
    const found = envelopeScanner(schema)?.scan(record.value as Uint8Array);
    const parsed = readEnvelope(record, schema, 'p@1') as ChangeEvent;
    return [parsed, found === undefined ? parsed : scannedChange(record, schema, found)];
  });
}

interface Outcome {
  readonly steps?: readonly RowStep[];
  readonly failure?: string;
  readonly altered: readonly string[];
}

function outcomeOf(given: Case, events: readonly ChangeEvent[], stageFromRows = 2): Outcome {
  const [first] = events as readonly [ChangeEvent];
  const altered: string[] = [];
  const targets = new Map(
    first.schema.columns.map(({ name }) => [name, given.pairs.find(({ source }) => name.startsWith(source.name))?.target as TargetColumn]),
  );
  const uniqueKeys = [{ index: 'i', columns: [...first.schema.key], isFolding: false }];
  const name = { schema: 'public', table: 't' };
  const table = { name, kind: 'r', isRowSecure: false, columns: targets, uniqueKeys };
  const plan = planTable('1', name, table, first.schema, (column) => ({
    ...given.policy,
    altered: (what) => altered.push(`${column} ${what}`),
  }));
  try {
    const entries = events.map((event) => ({ mapping: 0, event }));
    return { steps: foldedSteps(entries, () => plan, { mayStage: true, stageFromRows }), altered };
  } catch (error) {
    return { failure: String(error), altered };
  }
}

describe('rows from bytes to bytes', { timeout: 60_000 }, () => {
  test('G6: what is scanned is what is parsed, values, steps and refusals, of every kind into every type that takes it', () => {
    let scanned = 0;
    fc.assert(
      fc.property(cases, (given) => {
        const events = eventsOf(given);
        for (const [parsed, other] of events) {
          if (imagesOf(other) !== undefined) scanned += 1;
          expect(plainOf(other)).toEqual(plainOf(parsed));
        }
        const [slow, fast] = [events.map(([event]) => event), events.map(([, event]) => event)];
        // By COPY from two rows on, and by arrays.
        for (const from of [2, 99]) expect(outcomeOf(given, fast, from)).toEqual(outcomeOf(given, slow, from));
      }),
      { seed, numRuns: 800 },
    );
    expect(scanned).toBeGreaterThan(1500);
  });

  test('G6: rename and project move columns of what is scanned as of what is parsed', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 0, max: 3 }), (given, dropped) => {
        const schema = schemaOf(given);
        const kept = schema.columns.map(({ name }) => name).filter((name, index) => schema.key.includes(name) || index !== dropped);
        const stages = [project(kept), rename({ [kept[0] as string]: `${kept[0]} renamed` })];
        const through = (event: ChangeEvent) => stages.reduce((one, stage) => stage.change(one)[0] as ChangeEvent, event);
        const events = eventsOf(given).map(([parsed, scanned]) => [through(parsed), through(scanned)] as const);
        for (const [parsed, scanned] of events) expect(plainOf(scanned)).toEqual(plainOf(parsed));
        expect(
          outcomeOf(
            given,
            events.map(([, event]) => event),
          ),
        ).toEqual(
          outcomeOf(
            given,
            events.map(([event]) => event),
          ),
        );
      }),
      { seed, numRuns: 300 },
    );
  });

  test('G6: an envelope with any byte changed is scanned as it is parsed, or left to the parser', () => {
    const random = seeded(seed);
    let taken = 0;
    for (let run = 0; run < 20_000; run += 1) {
      const value = envelopeOf(random);
      for (let changes = random.int(3); changes > 0; changes -= 1)
        value[random.int(value.length)] = random.pick([random.int(256), 0x22, 0x5c, 0x2c, 0x30, 0xc3]);
      const record = recordOf(value);
      const found = envelopeScanner(fuzzSchema)?.scan(value);
      if (found === undefined) continue;
      taken += 1;
      expect(plainOf(scannedChange(record, fuzzSchema, found))).toEqual(readEnvelope(record, fuzzSchema, 'p@1'));
    }
    expect(taken).toBeGreaterThan(5000);
  });

  test('a batch of which one row was parsed is folded as values', () => {
    const random = seeded(seed);
    const records = Array.from({ length: 5 }, () => recordOf(envelopeOf(random)));
    const events = records.map((record, at) => {
      const found = at === 3 ? undefined : envelopeScanner(fuzzSchema)?.scan(record.value as Uint8Array);
      return found === undefined ? (readEnvelope(record, fuzzSchema, 'p@1') as ChangeEvent) : scannedChange(record, fuzzSchema, found);
    });
    const entries = events.map((event) => ({ mapping: 0, event }));
    expect(scannedSteps(entries, () => expect.unreachable('no plan is needed'), { mayStage: true })).toBeUndefined();
    expect(strict.nul).toBe('stop');
  });
});
