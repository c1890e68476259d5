/** The settings of topics that are there, against what the promises need of them. */
import kafkajs from 'kafkajs';
import type { Finding } from '../../src/core/ports.ts';
import type { KafkaCluster } from './cluster.ts';
import type { KafkaSettings } from './config.ts';
import { kafkaError } from './errors.ts';
import { configOf, type TopicKind } from './topics.ts';

/** By topic, then by the setting's name: what holds there, wherever it was set. */
export type TopicSettings = ReadonlyMap<string, ReadonlyMap<string, string>>;

const asked = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'min.insync.replicas',
  'unclean.leader.election.enable',
  'max.message.bytes',
  'message.timestamp.type',
  'compression.type',
];

/** What readers of ours understand; with another one the brokers would write the batches anew. */
const compressions = new Set(['producer', 'zstd', 'uncompressed']);

export async function topicSettings(cluster: KafkaCluster, topics: readonly string[]): Promise<TopicSettings> {
  const admin = await cluster.admin();
  try {
    const resources = topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames: asked }));
    const answer = await admin.describeConfigs({ resources, includeSynonyms: false });
    return new Map(
      answer.resources.map(({ resourceName, configEntries }) => [
        resourceName,
        new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    );
  } catch (error) {
    throw kafkaError(error, 'DescribeConfigs');
  }
}

interface TopicToCheck {
  readonly topic: string;
  readonly kind: TopicKind;
  /** How many there are of each partition. */
  readonly copies: number;
  readonly brokers: number;
  readonly effective: TopicSettings;
  readonly settings: KafkaSettings;
}

export function settingFindings({ topic, kind, copies, brokers, effective, settings }: TopicToCheck): Finding[] {
  const has = (name: string) => effective.get(topic)?.get(name) ?? '';
  const wanted = configOf(kind, settings, copies);
  const findings: Finding[] = [];
  const say = (level: Finding['level'], name: string, why: string) =>
    findings.push({
      level,
      code: 'LOG_SETTING',
      where: `log: ${topic}`,
      message: `${name} is ${has(name)}: ${why}`,
      fix: `kafka-configs.sh --bootstrap-server ${place(settings)} --alter --entity-type topics --entity-name ${topic} --add-config ${name}=${wanted[name] ?? ''}`,
    });
  if (has('cleanup.policy') !== wanted['cleanup.policy'])
    say(
      'error',
      'cleanup.policy',
      kind === 'rows' ? 'changes that no service has applied would be thrown away' : 'what control says must never expire',
    );
  if (has('unclean.leader.election.enable') === 'true')
    say('error', 'unclean.leader.election.enable', 'a broker that lacks acknowledged changes may become leader, and they are lost');
  if (has('message.timestamp.type') !== wanted['message.timestamp.type'])
    say(
      kind === 'rows' ? 'error' : 'warning',
      'message.timestamp.type',
      'the brokers then age changes by their time in the source: one that is captured late may be deleted before it is applied, and a batch sent again may be stored twice',
    );
  if (!compressions.has(has('compression.type')))
    say('error', 'compression.type', 'the brokers would compress again what we send, in a form that readers of ours do not know');
  const inSync = Number(has('min.insync.replicas'));
  if (copies > 2 && inSync < Number(wanted['min.insync.replicas']))
    say('warning', 'min.insync.replicas', `a change that only ${inSync} of ${copies} have counts as kept, and is lost with them`);
  if (copies === 2 && inSync < 2)
    findings.push({
      level: 'warning',
      code: 'LOG_SETTING',
      where: `log: ${topic}`,
      message: `min.insync.replicas is ${inSync} of two copies: a change that only one broker has counts as kept, and is lost with it; and 2 would stop the log while one is away. Three copies avoid both (kafka-reassign-partitions.sh makes more)`,
    });
  if (copies > 1 && inSync >= copies)
    say(
      'warning',
      'min.insync.replicas',
      `that is every one of its ${copies} copies: nothing can be written while a single broker is away`,
    );
  if (kind === 'rows') {
    const keptMs = Number(has('retention.ms'));
    if (keptMs >= 0 && keptMs < Number(wanted['retention.ms']))
      say('warning', 'retention.ms', 'it keeps less than "retention" of the configuration');
    if (Number(has('retention.bytes')) >= 0)
      say('warning', 'retention.bytes', 'beyond it changes are deleted, whether they were applied or not');
  }
  if (Number(has('max.message.bytes')) < Number(wanted['max.message.bytes']))
    say('warning', 'max.message.bytes', kind === 'rows' ? 'a larger change stops the pipeline' : 'many partitions at once need more');
  if (copies === 1 && brokers > 1)
    findings.push({
      level: 'warning',
      code: 'LOG_SETTING',
      where: `log: ${topic}`,
      message: 'there is one copy of it: what its broker loses is lost (kafka-reassign-partitions.sh makes more)',
    });
  return findings;
}

const place = ({ brokers }: KafkaSettings) => brokers.map(({ host, port }) => `${host}:${port}`).join(',');
