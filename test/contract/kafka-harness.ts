import { randomBytes } from 'node:crypto';
import { KafkaCluster } from '../../connectors/kafka/cluster.ts';
import { kafkaSchema, type KafkaSettings } from '../../connectors/kafka/config.ts';
import { takeOverPartitions } from '../../connectors/kafka/fence.ts';
import { openKafkaLog } from '../../connectors/kafka/log.ts';
import { RequestWriter, ResponseReader } from '../../connectors/kafka/requests/bytes.ts';
import { describeGroupsRequest, deleteGroupRequest } from '../../connectors/kafka/requests/group-listing.ts';
import { leaveGroupRequest } from '../../connectors/kafka/requests/group-members.ts';
import { produceRequest } from '../../connectors/kafka/requests/produce.ts';
import type { KafkaRequest } from '../../connectors/kafka/requests/request.ts';
import type { KafkaLogOptions } from '../../connectors/kafka/settings.ts';
import { TopicNames } from '../../connectors/kafka/topic-names.ts';
import { codec } from '../../src/codec.ts';
import { numberOf, topicOf } from '../../src/core/partition.ts';
import type { Log, PartitionId, StreamSpec } from '../../src/core/log-port.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import type { LogHarness, OpenOptions } from './log-harness.ts';
import { quiet } from './sqlite-harness.ts';

/** Faster than in production where nothing depends on it; the brokers allow no shorter session. */
export const kafkaTestTiming = { heartbeat: 100, session: 6000, fetchWait: 200, outage: 15_000, newTopics: 120_000 };

/** The rows of these tests were written in 1970, so nothing may be deleted for its age. */
export const kafkaSettings = (brokers: string, prefix?: string): KafkaSettings => ({
  ...kafkaSchema.parse(brokers),
  prefix,
  retention: { age: 1_000_000 },
});

/** A log under a name of its own on the shared broker, and hands on what is below it. */
export class KafkaHarness implements LogHarness {
  readonly prefix = `t${randomBytes(6).toString('hex')}.`;
  readonly names = new TopicNames('shop', this.prefix);
  readonly settings: KafkaSettings;
  readonly cluster: KafkaCluster;
  readonly #streams: readonly StreamSpec[];
  readonly #logs: Log[] = [];

  /** `settings`: what more there is to say of reaching the brokers. */
  constructor(streams: readonly StreamSpec[], brokers: string, settings: Partial<KafkaSettings> = {}) {
    this.#streams = streams;
    this.settings = { ...kafkaSettings(brokers, this.prefix), ...settings };
    this.cluster = new KafkaCluster(this.settings, { clientId: 'crossfade-test', logger: quiet });
  }

  async openWith(more: Partial<KafkaLogOptions>): Promise<Log> {
    const options = { pipeline: 'shop', streams: this.#streams, codec, logger: quiet, timing: kafkaTestTiming, ...more };
    const log = await openKafkaLog(this.settings, options);
    this.#logs.push(log);
    return log;
  }

  open({ streams, deliveryBytes, deliveryRecords }: OpenOptions = {}): Promise<Log> {
    const delivery = { ...(deliveryBytes && { bytes: deliveryBytes }), ...(deliveryRecords && { records: deliveryRecords }) };
    return this.openWith({ delivery, ...(streams && { streams }) });
  }

  /** In one process nothing can be killed; log-kafka-processes.test.ts kills real ones. */
  async kill(log: Log): Promise<void> {
    await log[Symbol.asyncDispose]();
  }

  depose(): Promise<void> {
    return this.#expel(this.names.captureGroup);
  }

  expel(group: string): Promise<void> {
    return this.#expel(this.names.group(group));
  }

  async #expel(key: string): Promise<void> {
    const coordinator = { coordinator: 'group', key } as const;
    const [description] = await this.cluster.ask(coordinator, describeGroupsRequest([key]));
    const members = description?.members.map(({ memberId }) => memberId) ?? [];
    await this.cluster.ask(coordinator, leaveGroupRequest(key, members));
  }

  async plant(partition: PartitionId, batch: RecordBatchBuilder): Promise<void> {
    const leaderOf = this.names.partition(partition);
    const produced = { topic: topicOf(leaderOf), partition: numberOf(leaderOf), bytes: batch.finish(codec, 0) };
    const [answer] = await this.cluster.ask({ leaderOf }, produceRequest([produced], 5000));
    if (answer?.errorCode !== 0) throw new Error(`planting failed with code ${answer?.errorCode}`);
  }

  /** A transaction of a stranger's that is aborted leaves its marker. */
  async gap(partition: PartitionId): Promise<void> {
    await takeOverPartitions(this.cluster, `${this.prefix}gap`, [this.names.partition(partition)], new AbortController().signal);
  }

  async truncateBelow(partition: PartitionId, offset: number): Promise<void> {
    const leaderOf = this.names.partition(partition);
    const [code] = await this.cluster.ask({ leaderOf }, deleteRecordsRequest(topicOf(leaderOf), numberOf(leaderOf), offset));
    if (code !== 0) throw new Error(`deleting records failed with code ${code}`);
  }

  async ourTopics(): Promise<string[]> {
    const admin = await this.cluster.admin();
    return (await admin.listTopics()).filter((topic) => topic.startsWith(this.prefix));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const log of this.#logs) await log[Symbol.asyncDispose]();
    const admin = await this.cluster.admin();
    const topics = await this.ourTopics();
    if (topics.length > 0) await admin.deleteTopics({ topics });
    const groups = (await admin.listGroups()).groups.map(({ groupId }) => groupId).filter((id) => id.startsWith(this.prefix));
    for (const key of groups) await this.cluster.send({ coordinator: 'group', key }, deleteGroupRequest(key)).catch(() => undefined);
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** DeleteRecords v1. kafkajs's admin asks for topics that it has not heard of. */
function deleteRecordsRequest(topic: string, partition: number, offset: number): KafkaRequest<number[]> {
  return {
    apiKey: 21,
    apiVersion: 1,
    apiName: 'DeleteRecords',
    encode: () => {
      const out = new RequestWriter();
      out.array([topic], (name) => out.string(name).array([partition], (number) => out.int32(number).int64(BigInt(offset))));
      return out.int32(5000).toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      const codes = from.array(() => {
        from.string();
        return from.array(() => {
          from.int32();
          from.int64();
          return from.int16();
        });
      });
      return codes.flat();
    },
  };
}
