/** Everything that keeps Kafka from being the log that is promised, found without making or changing anything. */
import { asCrossfadeError, type CrossfadeError } from '../../src/core/errors.ts';
import { lostHistory } from '../../src/core/log-errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { topicOf } from '../../src/core/partition.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { KafkaCluster } from './cluster.ts';
import type { KafkaSettings } from './config.ts';
import type { ControlState } from './control.ts';
import { lookAtGroups } from './group-look.ts';
import { existingTopics, readRanges, withoutMarkers } from './ranges.ts';
import { recordAt } from './record-at.ts';
import type { KafkaLogOptions } from './settings.ts';
import { settingFindings, topicSettings } from './check-settings.ts';
import { nameFindings, type TopicNames } from './topic-names.ts';
import { comparePartitions, replicationOf } from './topics.ts';

export interface CheckParts {
  readonly cluster: KafkaCluster;
  readonly names: TopicNames;
  readonly settings: KafkaSettings;
  readonly options: KafkaLogOptions;
  readonly control: () => Promise<ControlState>;
}

const deadlineMs = 10_000;
/** Of the time that changes are kept: a service that is so far behind has little time left to come back. */
const riskyShare = 0.5;

export async function checkKafkaLog(parts: CheckParts): Promise<readonly Finding[]> {
  const { cluster, names, options, settings } = parts;
  const { streams } = options;
  const findings = nameFindings(names, streams);
  try {
    const { brokers } = await cluster.metadata([], { deadlineMs });
    const rows = streams.map(({ topic }) => names.topic(topic));
    const found = await existingTopics(cluster, [...rows, names.control, names.notes], { deadlineMs });
    if (replicationOf(settings, brokers.length) > brokers.length && [...rows, names.control].some((topic) => !found.has(topic)))
      findings.push(tooFewBrokers(replicationOf(settings, brokers.length), brokers.length));
    try {
      comparePartitions(names, streams, found);
    } catch (error) {
      findings.push(findingOf(asCrossfadeError(error)));
    }
    if (found.size === 0) return findings;
    const effective = await topicSettings(cluster, [...found.keys()]);
    for (const topic of found.values()) {
      const kind = rows.includes(topic.topic) ? 'rows' : 'compacted';
      const copies = topic.partitions[0]?.replicas.length ?? 1;
      findings.push(...settingFindings({ topic: topic.topic, kind, copies, brokers: brokers.length, effective, settings }));
    }
    findings.push(
      ...(await retentionFindings(
        parts,
        [...found.keys()].filter((topic) => rows.includes(topic)),
        effective,
      )),
    );
  } catch (error) {
    findings.push(findingOf(asCrossfadeError(error)));
  }
  return findings;
}

/** Kafka deletes by age, applied or not: who is far behind is told while there is time. */
async function retentionFindings(
  { cluster, names, options, control }: CheckParts,
  topics: readonly string[],
  effective: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Promise<Finding[]> {
  const known = await control();
  const ranges = withoutMarkers(await readRanges(cluster, topics, { deadlineMs }), (id) => known.known(names.stream(id)));
  const { offsets } = await lookAtGroups(cluster, names, new Map());
  const findings: Finding[] = [];
  for (const [service, applied] of offsets) {
    for (const [id, offset] of applied) {
      const partition: PartitionId = names.partition(id);
      const range = ranges.get(partition);
      if (!range || offset >= range.endOffset) continue;
      const where = `service ${service}: ${id}`;
      if (offset < range.startOffset) findings.push({ ...findingOf(lostHistory(id, offset, range.startOffset)), where });
      else {
        const keptMs = Number(effective.get(topicOf(partition))?.get('retention.ms') ?? -1);
        const next = await recordAt(cluster, options.codec, partition, offset, range);
        const ageMs = next ? Date.now() - next.timestampMs : 0;
        if (keptMs > 0 && ageMs > keptMs * riskyShare) findings.push(nearlyLost(where, ageMs, keptMs));
      }
    }
  }
  return findings;
}

const hours = (ms: number) => `${(ms / 3_600_000).toFixed(1)} h`;

function nearlyLost(where: string, ageMs: number, keptMs: number): Finding {
  return {
    level: 'warning',
    code: 'LOG_LOST_HISTORY',
    where,
    message: `its next change has waited for ${hours(ageMs)}, and Kafka deletes changes after ${hours(keptMs)}: it must go on before that, or the topic must keep more (retention.ms)`,
  };
}

function tooFewBrokers(replication: number, brokers: number): Finding {
  return {
    level: 'error',
    code: 'LOG_SETTING',
    where: 'log',
    message: `the topics are to be made with ${replication} copies, but there are ${brokers} brokers`,
    fix: `log: { kafka: { replication: ${brokers} } }`,
  };
}

const findingOf = ({ code, message, remedy }: CrossfadeError): Finding => ({
  level: 'error',
  code,
  where: 'log',
  message: `${message}. ${remedy}`,
});
