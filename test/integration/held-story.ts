/** One history with rows that are held and rows that are poison, batch by batch: told by the test, and by children that it kills. */
import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { PostgresSettings } from '../../connectors/postgres/config.ts';
import type { Sink, SinkBatch } from '../../src/core/sink-port.ts';
import { Batches, column, mappingTo, tableOf } from './postgres-fixture.ts';

const seats = tableOf(
  'seats',
  ['id'],
  [column('id', { nullable: false }), column('guest', { kind: 'string', type: 'varchar(40)', length: 40 })],
);
/** Shorter than the source's, and unique for each statement. */
export const createSeats = 'CREATE TABLE seats (id int PRIMARY KEY, guest varchar(6) UNIQUE)';
const partitions = ['seats#0', 'seats#1'] as const;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function openStorySink(settings: PostgresSettings): Promise<Sink> {
  const options = { pipeline: 'story', service: 'seats', mappings: [mappingTo(seats)], logger: quiet, partitions };
  return openPostgresSink(settings, { ...options, onPoison: 'quarantine' });
}

const tooLong = 'much too long';
const sit = (id: number, guest: string) => [0, seats, { op: 'insert', after: { id, guest } }] as const;
const move = (id: number, from: string, to: string) =>
  [0, seats, { op: 'update', before: { id, guest: from }, after: { id, guest: to } }] as const;
const leave = (id: number, guest: string) => [0, seats, { op: 'delete', before: { id, guest } }] as const;

/** In the order in which they are written. */
function story(): SinkBatch[] {
  const [even, odd] = [new Batches(partitions[0]), new Batches(partitions[1])];
  return [
    even.of([sit(2, 'bob'), sit(4, tooLong), sit(6, 'fee')]),
    // Held: seat 2 still has him.
    odd.of([sit(1, 'ann'), sit(3, 'bob')]),
    odd.of([move(3, 'bob', 'bobby'), sit(5, 'fee'), sit(9, 'joe')]),
    even.of([move(4, tooLong, 'four'), move(6, 'fee', 'fie'), sit(8, tooLong)]),
    odd.of([move(3, 'bobby', 'bob'), move(1, 'ann', 'amy')]),
    even.of([leave(2, 'bob'), sit(10, 'ann')]),
    odd.of([move(3, 'bob', 'cat'), sit(7, 'ann')]),
    even.of([move(6, 'fie', 'foe')]),
  ];
}

/** Goes on where the target is, and tries what is held behind every batch. `did` is told of everything that was durable. */
export async function tell(sink: Sink, did: (what: string) => Promise<void> = async () => {}): Promise<void> {
  const progress = await sink.claim(partitions);
  const tend = async () => {
    while (((await sink.tend?.(undefined)) ?? 0) > 0) await did('something held was applied');
  };
  await tend();
  for (const [index, batch] of story().entries()) {
    if ((progress.get(batch.partition)?.nextOffset ?? 0) >= batch.progress.nextOffset) continue;
    await sink.write(batch);
    await did(`batch ${index}`);
    await tend();
  }
}
