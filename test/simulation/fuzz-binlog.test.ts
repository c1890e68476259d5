/** Damaged events of real binlogs through the reader: what is refused, and that nothing outside of an event is ever read. */
import { describe, expect, test } from 'vitest';
import { parsePosition } from '../../connectors/mysql/position/position.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { parseExactJson } from '../../src/core/exact-json.ts';
import type { RowChange } from '../../src/core/source-port.ts';
import { rowReader } from '../../src/core/row-json.ts';
import { eventsOfFile, FileReader, sealed, typeOf, type Flavor } from '../support/binlog-file.ts';
import { fuzzRuns, fuzzSeed, fuzzTimeoutMs, mutated } from '../support/mutate.ts';
import { seeded, type Random } from '../support/random.ts';

console.info(`fuzz: FUZZ_SEED=${fuzzSeed}, ${fuzzRuns} mutations`);

/** Each begins with the events of its transaction, so they take longer. */
const sealedRuns = Math.max(600, fuzzRuns / 20);

/** FORMAT_DESCRIPTION says whether checksums follow, its own among them. */
const formatType = 15;

/** undefined: it was read. An error that is not ours, or that says a rule of ours was broken, is thrown on. */
async function outcome(read: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    if (error instanceof CrossfadeError && error.code !== 'INTERNAL' && error.code !== 'INVARIANT') return error.code;
    throw error;
  }
}

const text = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('latin1');
const plain = ({ op, ordinal, before, after, key, oldKey, schema }: RowChange) =>
  JSON.stringify([schema.id, op, ordinal, text(before), text(after), text(key), text(oldKey)]);

/** What the rest of the pipeline relies on: images that hold the shape's columns, and the key that the image has. */
function expectWhole({ schema, op, before, after, key }: RowChange, place: () => string): void {
  const read = (image: Uint8Array | null) => {
    const parsed = image && parseExactJson(new TextDecoder('utf-8', { fatal: true }).decode(image));
    return parsed === null ? null : rowReader(schema)(parsed as Record<string, unknown>);
  };
  const [old, now] = [read(before), read(after)];
  if (old === undefined || now === undefined) expect.fail(`an image without the shape's columns: ${place()}`);
  if (op === 't') return;
  if ((op === 'c') !== (old === null) || (op === 'd') !== (now === null))
    expect.fail(`images that the operation does not have: ${place()}`);
  const identity = JSON.parse(Buffer.from(key).toString()) as Record<string, unknown>;
  expect(Object.values(identity).map(Number), place()).toEqual(schema.key.map((name) => Number((now ?? old)?.[name])));
}

describe.each(['mysql', 'mariadb'] as const)('events of %s', (flavor) => {
  const events = eventsOfFile(flavor);

  test('the undamaged file is read to its end, row by row', async () => {
    using reader = new FileReader(flavor, 0);
    for (const bytes of events) await reader.read(bytes);
    const changes = reader.taken();
    expect(changes.length).toBeGreaterThan(8);
    for (const change of changes) expectWhole(change, () => 'the undamaged file');
    expect(new Set(events.map(typeOf)).size).toBeGreaterThan(8);
  });

  test('G1: damage that the checksum sees is refused, in every event and byte', { timeout: fuzzTimeoutMs }, async () => {
    const random = seeded(fuzzSeed);
    const runsOfEvent = Math.ceil(fuzzRuns / 2 / events.length);
    using reader = new FileReader(flavor, 0);
    for (const [index, bytes] of events.entries()) {
      for (let run = 0; run < runsOfEvent; run += 1) {
        const bad = mutated(bytes, random);
        const answer = await outcome(() => reader.read(bad));
        if (answer !== 'SOURCE_EVENT_CORRUPT')
          expect(answer, `FUZZ_SEED=${fuzzSeed}, event ${index}: ${bad.toString('hex')}`).toBe('SOURCE_EVENT_CORRUPT');
      }
      await reader.read(bytes);
    }
    expect(reader.taken().length).toBeGreaterThan(8);
  });

  test(
    'G1: damage under a fitting checksum is an error of ours, or whole rows made of the event alone',
    { timeout: fuzzTimeoutMs },
    async () => {
      const random = seeded(fuzzSeed + 1);
      const pair = new Pair(flavor, events);
      const counts = { refused: 0, read: 0, rows: 0 };
      for (let run = 0; run < sealedRuns; run += 1) {
        const bad = mutatedBody(events, random);
        const place = () => `FUZZ_SEED=${fuzzSeed}, run ${run}, event ${bad.index}: ${bad.bytes.toString('hex')}`;
        const { answers, changes, positions } = await pair.read(bad.index, bad.bytes);
        // Which error it is may depend on that: a row that is cut is read into the bytes behind it, and found out at its end.
        if ((answers[0] === undefined) !== (answers[1] === undefined))
          expect.fail(`it depends on what lies around it: ${answers.join()} ${place()}`);
        if (changes[0].map(plain).join() !== changes[1].map(plain).join())
          expect.fail(`its rows depend on what lies around it: ${place()}`);
        for (const change of changes[0]) expectWhole(change, place);
        for (const position of positions) {
          const invalid = await outcome(() => void parsePosition(position));
          if (invalid !== undefined) expect.fail(`its position cannot be read: ${position}: ${place()}`);
        }
        counts.rows += changes[0].length;
        counts[answers[0] === undefined ? 'read' : 'refused'] += 1;
      }
      expect(Math.min(counts.refused, counts.read, counts.rows)).toBeGreaterThan(sealedRuns / 50);
    },
  );
});

/** Behind the header, most often in what describes and holds rows; sealed with length and checksum. */
function mutatedBody(events: readonly Buffer[], random: Random): { readonly index: number; readonly bytes: Buffer } {
  const index = random.int(events.length);
  const good = events[index] as Buffer;
  const body = mutated(good.subarray(0, -4), random, { from: random.chance(0.95) ? 19 : 4, keepLength: random.chance(0.6) });
  return { index, bytes: sealed(Buffer.concat([body, Buffer.alloc(4)])) };
}

type Two<T> = readonly [T, T];

/** Two readers of one file whose chunks hold other bytes around each event: whatever they say must be the same. */
class Pair {
  readonly #flavor: Flavor;
  readonly #events: readonly Buffer[];
  readonly #groups: readonly number[];
  #readers: Two<FileReader> | undefined;

  constructor(flavor: Flavor, events: readonly Buffer[]) {
    this.#flavor = flavor;
    this.#events = events;
    // Where the transaction of each event begins.
    let begin = 0;
    this.#groups = events.map((bytes, index) => (begin = gtidTypes.has(typeOf(bytes)) ? index : begin));
  }

  /** The events of its transaction in front of it, the event, and the rest of its transaction if it was read. */
  async read(index: number, bytes: Buffer) {
    const from = this.#groups[index] ?? 0;
    const readers = await this.#fresh(from, index);
    const answers = [await outcome(() => readers[0].read(bytes)), await outcome(() => readers[1].read(bytes))] as const;
    if (answers[0] !== undefined || answers[1] !== undefined || typeOf(bytes) === formatType) this.#drop();
    else if (!(await this.#finish(readers, index))) this.#drop();
    return {
      answers,
      changes: [readers[0].taken(), readers[1].taken()] as const,
      positions: [readers[0].position, readers[1].position] as const,
    };
  }

  /** Both in the middle of a transaction, as they were in front of this event. */
  async #fresh(from: number, index: number): Promise<Two<FileReader>> {
    if (this.#readers && !(await this.#feed(this.#readers, from, index))) this.#drop();
    if (!this.#readers) {
      this.#readers = [new FileReader(this.#flavor, 0), new FileReader(this.#flavor, 0xff)];
      if (from > 0) await this.#feed(this.#readers, 0, 1);
      if (!(await this.#feed(this.#readers, from, index))) throw new Error(`the undamaged events ${from} to ${index} are refused`);
    }
    for (const reader of this.#readers) reader.taken();
    return this.#readers;
  }

  async #feed(readers: Two<FileReader>, from: number, to: number): Promise<boolean> {
    for (const bytes of this.#events.slice(from, to))
      for (const reader of readers) if ((await outcome(() => reader.read(bytes))) !== undefined) return false;
    return true;
  }

  async #finish(readers: Two<FileReader>, index: number): Promise<boolean> {
    const next = this.#groups.findIndex((begin, at) => at > index && begin === at);
    return await this.#feed(readers, index + 1, next < 0 ? this.#events.length : next);
  }

  #drop(): void {
    for (const reader of this.#readers ?? []) reader[Symbol.dispose]();
    this.#readers = undefined;
  }
}

const gtidTypes = new Set([33, 34, 42, 162]);
