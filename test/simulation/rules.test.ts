/** Rules of lost history and takeover (semantics, section 9), each as a short history of its own on the virtual clock. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codec } from '../../src/codec.ts';
import { decodeRecordBatch } from '../../src/core/record-batch-reader.ts';
import { noFaults } from '../support/faults.ts';
import { randomTransaction } from '../support/histories.ts';
import { seeded } from '../support/random.ts';
import { checkLog } from './invariants.ts';
import { Slot } from './slot.ts';
import { World } from './world.ts';

describe('rules of section 9', () => {
  let world: World;
  let capture: Slot;
  let applies: Slot[];

  beforeEach(async () => {
    world = new World(seeded(4711));
    capture = new Slot(
      'capture',
      world,
      (process) => world.capture(process),
      () => noFaults,
    );
    applies = world.plan.services.map(
      (service) =>
        new Slot(
          `${service.name}.apply`,
          world,
          (process) => world.apply(process, service),
          () => noFaults,
        ),
    );
    await until(() => world.oracle.start !== undefined, 'the log to start');
  });
  afterEach(() => {
    for (const slot of [capture, ...applies]) for (const process of slot.past) process.kill();
    for (const end of world.atEnd) end();
  });

  const until = async (done: () => boolean, what: string) => {
    if (!(await world.clock.runUntil(() => done() || world.violations.length > 0, 600_000))) throw new Error(`waited in vain for ${what}`);
    expect(world.violations).toEqual([]);
  };
  const workload = (count: number) => {
    for (let index = 0; index < count; index += 1) world.server.commit(randomTransaction(world.server, world.plan, world.random));
  };
  const arrived = () => [...world.watches.values()].every((watch) => watch.caughtUp());
  const completed = () => world.cluster.completeRecord?.position.includes(`"executed":${world.server.transactions.length},`) === true;
  const settle = () => until(() => arrived() && completed(), 'everything to arrive');
  const held = () =>
    [...world.cluster.partitions].flatMap(([id, { batches }]) =>
      batches.flatMap((batch) => decodeRecordBatch(batch.data, codec, id).map((record) => `${id} ${record.version}`)),
    );

  test('a capture that was killed goes on where the log ends: no gap, no duplicate', async () => {
    for (let round = 0; round < 20; round += 1) {
      workload(5);
      await world.clock.runUntil(() => false, world.random.between(0, 400));
      capture.current.kill();
      capture.replace();
    }
    await settle();
    checkLog(world.oracle, world.cluster, world.deleted, world.violate);
    expect(world.violations).toEqual([]);
  });

  test('a purged position stops capture, and nothing is appended behind the gap', async () => {
    workload(10);
    await settle();
    capture.current.kill();
    workload(5);
    world.server.purge();
    const before = held();
    world.mayFail.add('SOURCE_POSITION_PURGED');
    capture.replace();
    await until(() => capture.failure !== undefined, 'capture to stop');
    expect(capture.failure).toMatchObject({ code: 'SOURCE_POSITION_PURGED', fault: 'fatal' });
    expect(held()).toEqual(before);
  });

  test('a source that lost transactions which the log has stops capture: fewer of them, or others in their place', async () => {
    workload(10);
    await settle();
    capture.current.kill();
    world.server.loseLast(2);
    const before = held();
    world.mayFail.add('SOURCE_HISTORY_DIVERGED');
    capture.replace();
    await until(() => capture.failure !== undefined, 'capture to stop');
    workload(2);
    capture.failure = undefined;
    capture.replace();
    await until(() => capture.failure !== undefined, 'capture to stop again');
    expect(capture.failure).toMatchObject({ code: 'SOURCE_HISTORY_DIVERGED', fault: 'fatal' });
    expect(held()).toEqual(before);
  });

  test('rows behind the last complete record that the source lost stop capture: the tail must be met', async () => {
    workload(10);
    await settle();
    const completeBefore = world.cluster.completeRecord;
    workload(6);
    await until(() => arrived(), 'the rows to arrive');
    capture.current.kill();
    // As if capture had died before its next complete record; then the source comes back without the last transactions.
    world.cluster.completeRecord = completeBefore;
    for (const partition of world.cluster.partitions.values()) partition.completeOffset = 0;
    world.server.loseLast(3);
    const before = held();
    world.mayFail.add('LOG_TAIL_NOT_MET');
    capture.replace();
    await until(() => capture.failure !== undefined, 'capture to stop');
    expect(capture.failure).toMatchObject({ code: 'LOG_TAIL_NOT_MET', fault: 'fatal' });
    expect(held()).toEqual(before);
    expect(world.cluster.completeRecord).toEqual(completeBefore);
  });

  test('traffic that nobody maps between the last complete record and the tail is not the end of the source', async () => {
    workload(5);
    await settle();
    capture.current.kill();
    const { unmapped } = world.plan;
    for (let id = 100; id < 140; id += 1) {
      world.server.commit([{ op: 'insert', table: unmapped.id, row: { id, kind: 'z', name: 'x', n: id } }]);
    }
    workload(3);
    capture.replace();
    await until(arrived, 'the rows to arrive');
    capture.current.kill();
    capture.replace();
    await settle();
    checkLog(world.oracle, world.cluster, world.deleted, world.violate);
    expect(world.violations).toEqual([]);
  });

  test('G3: a frozen apply whose place was taken cannot write when it wakes', async () => {
    workload(10);
    await settle();
    const [apply] = applies as [Slot];
    const frozen = apply.current;
    frozen.freeze();
    workload(10);
    // It holds a delivery by now, and is asleep before its write.
    await world.clock.runUntil(() => false, 5000);
    world.giveUp(frozen);
    apply.replace();
    await until(arrived, 'its successor to apply everything');
    const commits = world.commits;
    frozen.wake();
    await world.clock.runUntil(() => world.violations.length > 0, 60_000);
    expect(world.violations).toEqual([]);
    expect(world.commits).toBe(commits);
  });

  test('a frozen capture whose place was taken cannot append when it wakes', async () => {
    workload(10);
    await settle();
    const frozen = capture.current;
    workload(10);
    frozen.freeze();
    world.giveUp(frozen);
    capture.replace();
    await settle();
    const before = held();
    frozen.wake();
    await world.clock.runUntil(() => world.violations.length > 0, 60_000);
    expect(held()).toEqual(before);
    checkLog(world.oracle, world.cluster, world.deleted, world.violate);
    expect(world.violations).toEqual([]);
  });

  test('a target ahead of the log: a log that lost its end is filled again, and nothing is applied twice', async () => {
    workload(10);
    await settle();
    workload(10);
    await until(arrived, 'the rows to arrive');
    const { cluster } = world;
    const before = [...cluster.partitions].map(([id, stored]) => [id, { ...stored, batches: [...stored.batches] }] as const);
    const { completeRecord, term } = cluster;
    workload(10);
    await settle();
    for (const slot of [capture, ...applies]) slot.current.kill();
    // A power cut on a disk that lied: the file is again what it was some time ago.
    for (const [id, stored] of before) Object.assign(cluster.partition(id), stored);
    Object.assign(cluster, { completeRecord, term });
    for (const slot of [capture, ...applies]) slot.replace();
    workload(10);
    await settle();
    checkLog(world.oracle, world.cluster, world.deleted, world.violate);
    expect(world.violations).toEqual([]);
  });

  test('empty is not new: a target that was emptied stops its service, and no other', async () => {
    workload(10);
    await settle();
    const [apply] = applies as [Slot];
    const [service] = world.plan.services;
    apply.current.kill();
    await until(() => world.cluster.groups.size > 0, 'the service to have reported');
    world.stores.get(service?.name ?? '')?.progress.clear();
    world.mayFail.add('TARGET_PROGRESS_LOST');
    apply.replace();
    await until(() => apply.failure !== undefined, 'the service to stop');
    expect(apply.failure).toMatchObject({ code: 'TARGET_PROGRESS_LOST', fault: 'fatal' });
  });

  test('a topic that was made anew stops capture and every service that has applied the old one', async () => {
    workload(10);
    await settle();
    const [apply] = applies as [Slot];
    const { cluster } = world;
    for (const slot of [capture, apply]) slot.current.kill();
    const [service] = world.plan.services;
    const applied = [...(world.stores.get(service?.name ?? '')?.progress ?? [])].find(([, { progress }]) => progress !== undefined);
    cluster.recreate(applied?.[0] ?? '');
    for (const code of ['LOG_LOST_HISTORY', 'TARGET_PROGRESS_FOREIGN']) world.mayFail.add(code);
    for (const slot of [capture, apply]) slot.replace();
    await until(() => capture.failure !== undefined && apply.failure !== undefined, 'both to stop');
    expect(capture.failure).toMatchObject({ code: 'LOG_LOST_HISTORY', fault: 'fatal' });
    expect(apply.failure).toMatchObject({ code: 'TARGET_PROGRESS_FOREIGN', fault: 'fatal' });
  });

  test('a log that begins behind the progress of a target stops its service', async () => {
    workload(10);
    await settle();
    const [apply] = applies as [Slot];
    apply.current.kill();
    workload(10);
    await until(completed, 'capture to arrive');
    for (const [id, { endOffset }] of world.cluster.partitions) world.cluster.truncateBelow(id, endOffset);
    world.mayFail.add('LOG_LOST_HISTORY');
    apply.replace();
    await until(() => apply.failure !== undefined, 'the service to stop');
    expect(apply.failure).toMatchObject({ code: 'LOG_LOST_HISTORY', fault: 'fatal' });
  });
});
