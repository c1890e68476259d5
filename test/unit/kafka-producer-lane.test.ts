/** The window of one partition against a broker in miniature that keeps Kafka's rule for numbers, and a network that loses anything. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { kafkaError } from '../../connectors/kafka/errors.ts';
import { nextSequence, type Outgoing, ProducerLane } from '../../connectors/kafka/producer-lane.ts';
import { ProtocolError } from '../../connectors/kafka/requests/request.ts';

const lost = kafkaError(new ProtocolError(6, 'Produce'), 'test');

/** Takes a batch when its number is the next, knows the last five again, and refuses everything else. */
class SmallBroker {
  readonly records: number[] = [];
  readonly #known: { readonly sequence: number; readonly base: number; readonly bytes: string }[] = [];
  #next: number;

  constructor(first: number) {
    this.#next = first;
  }

  /** The offset, or undefined for a gap. */
  produce(bytes: Uint8Array): number | undefined {
    const text = Buffer.from(bytes).toString();
    const { sequence, from, count } = JSON.parse(text) as { sequence: number; from: number; count: number };
    const again = this.#known.find((batch) => batch.sequence === sequence);
    if (again) {
      if (again.bytes !== text) throw new Error('a number was given to other bytes');
      return again.base;
    }
    if (sequence !== this.#next) return undefined;
    const base = this.records.length;
    for (let record = from; record < from + count; record += 1) this.records.push(record);
    this.#known.push({ sequence, base, bytes: text });
    if (this.#known.length > 5) this.#known.shift();
    this.#next = nextSequence(sequence, count);
    return base;
  }
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.integer({ min: 1, max: 9 }), isLater: fc.boolean() }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('make' as const), index: fc.nat(20) }) },
    { weight: 4, arbitrary: fc.constant({ do: 'send' as const }) },
    { weight: 4, arbitrary: fc.constant({ do: 'answer' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), stored: fc.integer({ min: 0, max: 5 }) }) },
  ),
  { maxLength: 200 },
);

test(
  'whatever is cut, and wherever: all records once, in order, acknowledged in order, never more than five on their way',
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(0, 2 ** 31 - 12), async (history, first) => {
        const broker = new SmallBroker(first);
        const lane = new ProducerLane('topic#0', first);
        const flying: Outgoing[] = [];
        const acknowledged: number[] = [];
        let added = 0;
        /** Whose bytes another thread still makes, in whatever order. */
        const unmade: { readonly make: () => void; readonly made: Promise<void> | undefined }[] = [];
        const add = (count: number, isLater: boolean) => {
          const from = added;
          added += count;
          const later = Promise.withResolvers<Uint8Array>();
          let make = () => {};
          const encode = (sequence: number) => {
            const bytes = Buffer.from(JSON.stringify({ sequence, from, count }));
            make = () => later.resolve(bytes);
            return isLater ? later.promise : bytes;
          };
          const done = { stored: (offset: number) => acknowledged.push(offset), failed: () => expect.fail('nothing is given up') };
          const made = lane.add(count, encode, done);
          if (isLater) unmade.push({ make, made });
        };
        const makeOne = async (index: number) => {
          const [one] = unmade.splice(index % Math.max(1, unmade.length), 1);
          one?.make();
          await one?.made;
        };
        const send = () => {
          if (lane.ready) flying.push(lane.take());
          expect(flying.length).toBeLessThanOrEqual(5);
        };
        const answer = () => {
          const batch = flying.shift();
          if (!batch) return;
          const offset = broker.produce(batch.bytes);
          if (offset === undefined) expect.fail('on one connection there is no gap');
          lane.stored(batch, offset);
        };
        const cut = (stored: number) => {
          for (const [index, batch] of flying.splice(0).entries()) {
            if (index < stored) broker.produce(batch.bytes);
            lane.failed(lost, 0);
          }
          if (lane.settled) lane.rewind(1);
        };
        for (const step of history) {
          if (step.do === 'add') add(step.count, step.isLater);
          else if (step.do === 'make') await makeOne(step.index);
          else if (step.do === 'send') send();
          else if (step.do === 'answer') answer();
          else cut(step.stored);
        }
        while (unmade.length > 0) await makeOne(unmade.length - 1);
        for (let left = 1000; left > 0 && (lane.ready || flying.length > 0); left -= 1) {
          send();
          answer();
        }
        expect(broker.records).toEqual(Array.from({ length: added }, (_, record) => record));
        expect(acknowledged).toEqual(acknowledged.toSorted((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  },
);

test('a batch that comes to lie below the end is lost history', () => {
  const lane = new ProducerLane('topic#0');
  lane.expect(100);
  expect([0, 99, 100, 101, -1].map((offset) => lane.hasLostHistory(offset))).toEqual([true, true, false, false, false]);
});

test('five batches wait for their acknowledgement and not one more: the broker would not know a sixth from a gap', () => {
  const lane = new ProducerLane('topic#0');
  const flying: Outgoing[] = [];
  const fill = () => {
    while (lane.ready) flying.push(lane.take());
    return flying.length;
  };
  for (let n = 0; n < 12; n += 1) void lane.add(1, (sequence) => Buffer.from([sequence]), { stored: () => {}, failed: () => {} });
  expect(fill()).toBe(5);
  lane.stored(flying.shift() as Outgoing, 0);
  expect(fill()).toBe(5);
  // Sent again, they are the same five.
  for (const _ of flying.splice(0)) lane.failed(lost, 0);
  lane.rewind(1);
  expect(fill()).toBe(5);
  expect(flying.map(({ bytes }) => bytes[0])).toEqual([1, 2, 3, 4, 5]);
});
