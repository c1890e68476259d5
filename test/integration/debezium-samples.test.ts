/**
 * The same statements through Debezium 3.6.1 (once, on another machine: test/support/samples) and through our capture: the
 * same topics, keys, envelopes and order of fields, but for the differences of one list, each of which has its reason.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { comparable, ourMessages, statements, theirMessages, type Fields, type Message } from '../support/debezium-samples.ts';
import { TypedValues } from '../support/typed-values.ts';

interface Difference {
  /** Where it is allowed; `*` stands for `before` and `after`. */
  readonly path: string;
  /** Only in these messages; everywhere where nothing is said. */
  readonly at?: RegExp;
  readonly theirs: unknown;
  readonly ours: unknown;
  readonly reason: string;
}

const absent = 'absent';
const instant = 'a DATE and a DATETIME have no zone; the Z of theirs makes an instant of what is none';
const ofConnector = 'a field of their connector that says nothing of the change; semantics section 2 does not list it';
const snapshotOnly = /types@[01]$/;
const streamed = /types@[24]$/;

/** Everything in which we differ, on purpose. */
const deliberate: readonly Difference[] = [
  {
    path: 'key.id',
    theirs: ['AQ==', 'Ag==', 'Aw==', 'BA=='],
    ours: [1, 2, 3, 4],
    reason: 'an unsigned BIGINT in a key is an integer, as it is in the row',
  },
  {
    path: 'value.*.ti',
    theirs: [null],
    ours: ['-12:34:56', '838:59:59'],
    reason: 'a negative TIME, and one beyond a day, must not become null',
  },
  { path: 'value.*.ti3', theirs: ['12:34:56.123Z'], ours: ['12:34:56.123'], reason: 'a TIME has no zone' },
  { path: 'value.*.da', theirs: ['2026-11-21Z'], ours: ['2026-11-21'], reason: instant },
  { path: 'value.*.dt', theirs: ['2026-11-21T10:11:12Z'], ours: ['2026-11-21T10:11:12'], reason: instant },
  { path: 'value.*.dt6', theirs: ['2026-11-21T10:11:12.123456Z'], ours: ['2026-11-21T10:11:12.123456'], reason: instant },
  { path: 'value.*.e', at: streamed, theirs: ['b\\,c'], ours: ['b,c'], reason: 'a label is what the table says, from both paths' },
  {
    path: 'value.*.j',
    at: streamed,
    theirs: ['{"a":1.1,"b":[1,2,{"c":null}],"d":12345678901234567890}'],
    ours: ['{"a": 1.1, "b": [1, 2, {"c": null}], "d": 12345678901234567890}'],
    reason: 'JSON is the text that the server prints, from both paths',
  },
  { path: 'value.*.p.x', theirs: [2], ours: [absent], reason: 'every spatial type has one form, {wkb, srid} (semantics section 4)' },
  { path: 'value.*.p.y', theirs: [1], ours: [absent], reason: 'every spatial type has one form, {wkb, srid} (semantics section 4)' },
  { path: 'value.source.version', theirs: ['3.6.1.Final'], ours: ['0.1.0'], reason: 'each says its own' },
  { path: 'value.source.sequence', theirs: [null], ours: [absent], reason: ofConnector },
  { path: 'value.source.thread', theirs: [null, 1607], ours: [absent], reason: ofConnector },
  { path: 'value.source.query', theirs: [null], ours: [absent], reason: ofConnector },
  { path: 'value.source.ts_ns', theirs: 'any', ours: [absent], reason: 'no source has nanoseconds: three zeros behind ts_us' },
  { path: 'value.ts_us', theirs: 'any', ours: [absent], reason: 'the time of writing, more finely than anybody needs' },
  { path: 'value.ts_ns', theirs: 'any', ours: [absent], reason: 'the time of writing, more finely than anybody needs' },
  ...['version', 'term', 'commit-ts-us', 'schema', 'barrier'].map((name): Difference => ({
    path: `header ${name}`,
    theirs: [absent],
    ours: 'any',
    reason: 'our own headers (semantics section 3)',
  })),
  // The first two rows were there when their connector came; we captured the statements that wrote them.
  { path: 'value.op', at: snapshotOnly, theirs: ['r'], ours: ['c'], reason: 'theirs are of a snapshot' },
  {
    path: 'value.source.snapshot',
    at: snapshotOnly,
    theirs: ['first_in_data_collection', 'last'],
    ours: ['false'],
    reason: 'theirs are of a snapshot',
  },
  ...[
    'source.gtid',
    'source.server_id',
    'source.pos',
    'transaction',
    'transaction.id',
    'transaction.total_order',
    'transaction.data_collection_order',
  ].map((path): Difference => ({
    path: `value.${path}`,
    at: snapshotOnly,
    theirs: 'any',
    ours: 'any',
    reason: 'rows of a snapshot have no transaction',
  })),
];

const renumbered = (path: string) => /^value\.(source\.(gtid|pos)|transaction\.id)$/.test(path);
const topicOfTransactions = 'mono.transaction';

let values: TypedValues;
let theirs: Message[];
let ours: Message[];

beforeAll(async () => {
  values = await TypedValues.open('mysql');
  const { name } = values.database;
  const { setup, live } = statements(name);
  const isRow = (statement: string) => statement.startsWith('insert');
  for (const statement of setup.filter((each) => !isRow(each))) await values.sql(statement);
  const changes = await values.changes(['types', 'parent', 'child'], [...setup.filter(isRow), ...live], 14);
  ours = ourMessages('mono', changes, [name, 'golden']);
  theirs = theirMessages('exact');
});
afterAll(() => values[Symbol.asyncDispose]());

const topics = (messages: readonly Message[]) => [...new Set(messages.map(({ topic }) => topic))];
const spelled = (path: string) => path.replace(/^value\.(?:before|after)\./, 'value.*.');
const allowed = (list: unknown, value: unknown) =>
  list === 'any' || (list as readonly unknown[]).some((each) => isDeepStrictEqual(each, value));

interface Found {
  readonly where: string;
  readonly path: string;
  readonly theirs: unknown;
  readonly ours: unknown;
}

function differences(): Found[] {
  const of = (messages: readonly Message[], only?: RegExp) =>
    comparable(messages.filter(({ topic, offset }) => topic !== topicOfTransactions && (only?.test(`${topic}@${offset}`) ?? true)));
  // Snapshot rows have no transactions to number, so the others are numbered among themselves.
  const without = /^(?!.*types@[01]$)/;
  const [one, two] = [of(theirs), of(ours)];
  const [oneNumbered, twoNumbered] = [of(theirs, without), of(ours, without)];
  return [...new Set([...one.keys(), ...two.keys()])].flatMap((where) => {
    const fieldsOf = (all: Map<string, Fields>, numbered: Map<string, Fields>) => (path: string) =>
      (renumbered(path) ? (numbered.get(where) ?? all.get(where)) : all.get(where))?.get(path);
    const [left, right] = [fieldsOf(one, oneNumbered), fieldsOf(two, twoNumbered)];
    const paths = new Set([...(one.get(where)?.keys() ?? []), ...(two.get(where)?.keys() ?? [])]);
    const has = (all: Map<string, Fields>, path: string) => all.get(where)?.has(path) ?? false;
    return [...paths].flatMap((path): Found[] => {
      const found = { where, path, theirs: has(one, path) ? left(path) : absent, ours: has(two, path) ? right(path) : absent };
      return isDeepStrictEqual(found.theirs, found.ours) ? [] : [found];
    });
  });
}

const explains = ({ path, at, theirs: left, ours: right }: Difference, found: Found) =>
  path === spelled(found.path) && (at?.test(found.where) ?? true) && allowed(left, found.theirs) && allowed(right, found.ours);

test('section 2: the same topics, and in each the same messages: rows, tombstones, both halves of a key change, the TRUNCATE', () => {
  expect([...topics(ours), topicOfTransactions]).toEqual(topics(theirs));
  const shape = ({ topic, offset, key, value }: Message) =>
    `${topic}@${offset} ${key === null ? 'no key' : 'key'} ${value === null ? 'tombstone' : 'value'}`;
  expect(ours.map(shape)).toEqual(theirs.filter(({ topic }) => topic !== topicOfTransactions).map(shape));
});

test('section 2: every field is Debezium’s, but for the differences of the list', () => {
  const unexplained = differences().filter((found) => !deliberate.some((difference) => explains(difference, found)));
  expect(unexplained).toEqual([]);
});

test.each(deliberate.map((difference) => [difference.path, difference.reason, difference] as const))(
  'section 2: %s differs: %s',
  (_path, _reason, difference) => {
    expect(differences().some((found) => explains(difference, found))).toBe(true);
  },
);

test('section 2: the fields stand in Debezium’s order', () => {
  const inOrder = (left: readonly string[], right: readonly string[]) => right.filter((path) => left.includes(path));
  const paths = (message: Message | undefined) => [
    ...(comparable(message === undefined ? [] : [message])
      .values()
      .next()
      .value?.keys() ?? []),
  ];
  for (const message of ours) {
    const other = theirs.find(({ topic, offset }) => topic === message.topic && offset === message.offset);
    const [left, right] = [paths(message), paths(other)].map((list) => list.filter((path) => !path.startsWith('header'))) as [
      string[],
      string[],
    ];
    expect(left.filter((path) => right.includes(path))).toEqual(inOrder(left, right));
  }
});
