/** What only Kafka's log can meet: topics that others change, delete and write to, and Kafka's own tools looking at it. */
import { gzipSync } from 'node:zlib';
import kafkajs from 'kafkajs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openKafkaLog } from '../../connectors/kafka/log.ts';
import { produceRequest } from '../../connectors/kafka/requests/produce.ts';
import { codec } from '../../src/codec.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { StreamSpec, Writer } from '../../src/core/log-port.ts';
import { topicOf } from '../../src/core/partition.ts';
import type { Finding } from '../../src/core/ports.ts';
import { freePort } from '../../stack/ports.ts';
import { kafkaAddress } from '../support/servers.ts';
import { KafkaHarness, kafkaSettings } from './kafka-harness.ts';
import { consume, expectCode, never, orders, ordersStream, people, peopleStream } from './log-harness.ts';
import { collect, range, rows, until, versionAt } from './log-rows.ts';
import { quiet } from './sqlite-harness.ts';

async function harnessOf(streams: readonly StreamSpec[] = [peopleStream]): Promise<KafkaHarness> {
  const harness = new KafkaHarness(streams, await kafkaAddress());
  onTestFinished(() => harness[Symbol.asyncDispose]());
  return harness;
}

const told = (findings: readonly Finding[]) =>
  findings.map(({ level, code, message }) => `${level} ${code} ${message.split(/[ :]/)[0]}`).sort();

async function alter(harness: KafkaHarness, topic: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const admin = await harness.cluster.admin();
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }] });
}

describe('check and state', () => {
  test('a look makes nothing, and a log as we make it has no findings', async () => {
    const harness = await harnessOf();
    const log = await harness.open();
    expect(await log.check()).toEqual([]);
    const state = await log.state();
    expect([state.partitions.size, state.groups.size, state.leader]).toEqual([0, 0, undefined]);
    expect(await log.schema('a')).toBeUndefined();
    expect(await log.at(people, 0)).toBeUndefined();
    expect(await harness.ourTopics()).toEqual([]);
    await using _writer = await log.lead(never);
    expect((await harness.ourTopics()).sort()).toEqual(
      [harness.names.control, harness.names.notes, harness.names.topic('shop.people')].sort(),
    );
    expect(await log.check()).toEqual([]);
  });

  test('G1: settings that would lose what was acknowledged, or not yet applied, are named with the command that mends them', async () => {
    const harness = await harnessOf();
    const log = await harness.open();
    await (await log.lead(never))[Symbol.asyncDispose]();
    const topic = harness.names.topic('shop.people');
    await alter(harness, topic, {
      'cleanup.policy': 'compact',
      'unclean.leader.election.enable': 'true',
      'retention.ms': '1000000',
      'retention.bytes': '5000000',
      'compression.type': 'lz4',
    });
    await alter(harness, harness.names.control, { 'cleanup.policy': 'delete' });
    await until('the broker knows', async () => (await log.check()).length >= 9);
    const findings = await log.check();
    expect(told(findings.filter(({ where }) => where === `log: ${topic}`))).toEqual([
      'error LOG_SETTING cleanup.policy',
      'error LOG_SETTING compression.type',
      'error LOG_SETTING message.timestamp.type',
      'error LOG_SETTING unclean.leader.election.enable',
      'warning LOG_SETTING max.message.bytes',
      'warning LOG_SETTING retention.bytes',
      'warning LOG_SETTING retention.ms',
    ]);
    // The commands, as they would be run, leave nothing to say.
    for (const found of [topic, harness.names.control]) {
      const mended = findings.flatMap(({ where, fix }) =>
        where === `log: ${found}` ? (/--add-config (.*)$/.exec(fix ?? '')?.[1] ?? []) : [],
      );
      await alter(harness, found, Object.fromEntries(mended.map((setting) => setting.split('=') as [string, string])));
    }
    await until('the broker knows', async () => (await log.check()).length === 0);
    expect(findings.find(({ where }) => where === `log: ${harness.names.control}`)).toMatchObject({
      level: 'error',
      fix: expect.stringContaining(`--entity-name ${harness.names.control} --add-config cleanup.policy=compact`) as string,
    });
  });

  test('another number of partitions, brokers that are not there and a service that is nearly too late are findings', async () => {
    const harness = await harnessOf([ordersStream]);
    const writer = await (await harness.open()).lead(never);
    await writer.append([{ partition: orders(0), batch: rows(0, 3) }]);
    const changed = await harness.open({ streams: [{ topic: 'shop.orders', partitions: 8 }] });
    expect(told(await changed.check())).toEqual(['error LOG_PARTITIONS_CHANGED shop.orders']);
    const log = await harness.open();
    await log.applied('slow', new Map([[orders(0), 0]]));
    // The rows of these tests are of 1970.
    const sixtyYearsMs = 60 * 365 * 24 * 3_600_000;
    await alter(harness, harness.names.topic('shop.orders'), { 'retention.ms': String(sixtyYearsMs) });
    await until('the broker knows', async () =>
      (await log.check()).some(({ code, where }) => code === 'LOG_LOST_HISTORY' && where.startsWith('service slow')),
    );
    const nowhere = await openKafkaLog(kafkaSettings(`127.0.0.1:${await freePort()}`), {
      pipeline: 'shop',
      streams: [ordersStream],
      codec,
      logger: quiet,
    });
    onTestFinished(() => nowhere[Symbol.asyncDispose]());
    expect((await nowhere.check()).map(({ code }) => code)).toEqual(['LOG_UNREACHABLE']);
  });
});

describe('topics under other people’s hands', () => {
  test('G1: a topic that is deleted under a reader is an error, and made anew it has another life', async () => {
    const harness = await harnessOf();
    const log = await harness.open();
    const writer = await log.lead(never);
    await writer.append([{ partition: people, batch: rows(0, 3) }]);
    const reader = consume(log, 'g');
    await until('the rows came', () => reader.numbers().length === 3);
    const lifeOf = async () => (await log.state()).partitions.get(people)?.logId;
    const before = await lifeOf();
    await writer[Symbol.asyncDispose]();
    const admin = await harness.cluster.admin();
    await admin.deleteTopics({ topics: [harness.names.topic('shop.people')] });
    await reader.ended;
    expect((reader.error as CrossfadeError).code).toBe('LOG_LOST_HISTORY');
    expect(reader.numbers()).toEqual(range(0, 3));
    await using _writer = await (await harness.open()).lead(never);
    expect(await lifeOf()).toMatch(/^[0-9a-f]{32}$/);
    expect(await lifeOf()).not.toBe(before);
    await expectCode(collect(log, new Map([[people, 5]]), 1), 'LOG_LOST_HISTORY');
  });

  test(
    'G1: deleted behind a complete record, the last row is known; deleted before one, the next capture stops instead of writing again',
    { timeout: 240_000 },
    async () => {
      const harness = await harnessOf([peopleStream, ordersStream]);
      const first = await (await harness.open()).lead(never);
      await first.append([{ partition: people, batch: rows(0, 3) }]);
      await first.complete({ position: 'three', throughUs: 3, writtenAtMs: 3 });
      const endOf = async (writer: Writer) => (await writer.tail()).partitions.get(people)?.endOffset ?? -1;
      await harness.truncateBelow(people, await endOf(first));
      // An empty partition's markers are deleted too: that is no loss.
      await harness.truncateBelow(orders(1), 1);
      await first[Symbol.asyncDispose]();
      const second = await (await harness.open()).lead(never);
      expect((await second.tail()).partitions.get(people)?.last?.version).toBe(versionAt(2));
      await second.append([{ partition: people, batch: rows(3, 5) }]);
      await harness.truncateBelow(people, await endOf(second));
      await second[Symbol.asyncDispose]();
      await expectCode((await harness.open()).lead(never), 'LOG_LOST_HISTORY');
    },
  );

  test(
    'G1: where only the markers of takeovers were deleted nothing is lost, for who had it all and for who comes new',
    { timeout: 240_000 },
    async () => {
      const harness = await harnessOf([peopleStream, ordersStream]);
      const first = await (await harness.open()).lead(never);
      await first.append([{ partition: people, batch: rows(0, 3) }]);
      await first[Symbol.asyncDispose]();
      const second = await (await harness.open()).lead(never);
      const { partitions } = await second.tail();
      const applied = (partitions.get(people)?.last?.offset ?? -1) + 1;
      // As after a week without a row: the brokers have nothing more of either partition.
      for (const partition of [people, orders(1)]) await harness.truncateBelow(partition, partitions.get(partition)?.endOffset ?? -1);
      await second.append([
        { partition: people, batch: rows(3, 5) },
        { partition: orders(1), batch: rows(5, 6) },
      ]);
      await second.complete({ position: 'six', throughUs: 6, writtenAtMs: 6 });
      const log = await harness.open();
      const state = await log.state();
      expect([people, orders(1)].map((partition) => state.partitions.get(partition)?.startOffset)).toEqual([applied, 0]);
      const places = new Map([
        [people, applied],
        [orders(1), 0],
      ]);
      const reader = consume(log, 'g', places);
      await until('all that is left came', () => reader.numbers().length === 3, 120_000);
      expect(reader.numbers().toSorted((one, other) => one - other)).toEqual([3, 4, 5]);
      expect((await log.at(people, applied))?.version).toBe(versionAt(3));
      expect(await log.check()).toEqual([]);
      // A row that went with them is missed all the same.
      await harness.truncateBelow(people, (await second.tail()).partitions.get(people)?.endOffset ?? -1);
      await expectCode(log.at(people, applied), 'LOG_LOST_HISTORY');
      await expectCode(collect(log, new Map([[people, applied]]), 1), 'LOG_LOST_HISTORY');
    },
  );

  test('G1: what somebody else wrote, in a compression or a form that is not ours, stops the reader at its place', async () => {
    const harness = await harnessOf();
    const log = await harness.open();
    const writer = await log.lead(never);
    await writer.append([{ partition: people, batch: rows(0, 2) }]);
    const plain = Buffer.from(rows(2, 4).finish(codec, 0));
    const foreign = Buffer.concat([plain.subarray(0, 61), gzipSync(plain.subarray(61))]);
    foreign.writeInt32BE(foreign.length - 12, 8);
    foreign.writeInt16BE(1, 21);
    foreign.writeUInt32BE(codec.crc32c(foreign.subarray(21)) >>> 0, 17);
    const leaderOf = harness.names.partition(people);
    const [answer] = await harness.cluster.ask(
      { leaderOf },
      produceRequest([{ topic: topicOf(leaderOf), partition: 0, bytes: foreign }], 5000),
    );
    const reader = consume(log, 'g');
    await reader.ended;
    expect(reader.error).toMatchObject({
      code: 'LOG_CORRUPT',
      fault: 'fatal',
      message: expect.stringContaining(`@${answer?.baseOffset}: its compression 1`) as string,
    });
  });

  test('a group that another program uses is left alone', async () => {
    const harness = await harnessOf();
    await using _writer = await (await harness.open()).lead(never);
    const kafka = new kafkajs.Kafka({ brokers: [await kafkaAddress()], logLevel: kafkajs.logLevel.NOTHING });
    const stranger = kafka.consumer({ groupId: harness.names.group('g') });
    onTestFinished(() => stranger.disconnect());
    await stranger.subscribe({ topic: harness.names.topic('shop.people') });
    await stranger.connect();
    const joined = new Promise((resolve) => stranger.on('consumer.group_join', resolve));
    await stranger.run({ eachMessage: async () => {} });
    await joined;
    const reader = consume(await harness.open(), 'g');
    await reader.ended;
    expect(reader.error).toMatchObject({ code: 'LOG_SETTING', fault: 'fatal' });
  });
});

test('Kafka’s own tools show who reads what, and how far it is', async () => {
  const harness = await harnessOf([ordersStream]);
  const log = await harness.open();
  const writer = await log.lead(never);
  await writer.append([{ partition: orders(0), batch: rows(0, 5) }]);
  const reader = consume(log, 'g');
  await until('the rows came', () => reader.numbers().length === 5);
  const end = reader.deliveries.at(-1)?.nextOffset ?? -1;
  const admin = await harness.cluster.admin();
  const groupId = harness.names.group('g');
  await log.applied('g', new Map([[orders(0), end]]));
  const { groups } = await admin.describeGroups([groupId]);
  const [member] = groups[0]?.members ?? [];
  const shown = kafkajs.AssignerProtocol.MemberAssignment.decode(member?.memberAssignment as Buffer);
  expect(shown?.assignment).toEqual({ [harness.names.topic('shop.orders')]: [0, 1, 2, 3] });
  expect(kafkajs.AssignerProtocol.MemberMetadata.decode(member?.memberMetadata as Buffer)?.topics).toEqual([
    harness.names.topic('shop.orders'),
  ]);
  const noted = await admin.fetchOffsets({ groupId, topics: [harness.names.topic('shop.orders')] });
  expect(noted[0]?.partitions.find(({ partition }) => partition === 0)?.offset).toBe(String(end));
  // While the service reads, its offsets stay with the brokers; forgotten they are all the same.
  await log.forget('g');
  expect((await log.state()).groups.has('g')).toBe(false);
  await log.applied('g', new Map([[orders(0), end]]));
  await until('what is noted from then on counts', async () => (await log.state()).groups.get('g')?.get(orders(0)) === end);
});
