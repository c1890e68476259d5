/** The log's names in Kafka. With a prefix, when an administrator gives us a part of a shared cluster. */
import type { PartitionId, StreamSpec } from '../../src/core/log-port.ts';
import type { Finding } from '../../src/core/ports.ts';

const longestName = 249;

export class TopicNames {
  readonly #prefix: string;
  /** `<prefix><pipeline>.`: what all our topics and groups begin with. A pipeline's name has no dot, so no other's do. */
  readonly #own: string;
  readonly control: string;
  readonly notes: string;
  /** The election's group. No service can be called so: their names have no underscore. */
  readonly captureGroup: string;
  readonly transactionalId: string;

  constructor(pipeline: string, prefix = '') {
    this.#prefix = prefix;
    this.#own = `${prefix}${pipeline}.`;
    this.control = `${this.#own}control`;
    this.notes = `${this.#own}notes`;
    this.captureGroup = `${this.#own}_capture`;
    this.transactionalId = `${this.#own}_capture`;
  }

  topic(stream: string): string {
    return `${this.#prefix}${stream}`;
  }

  /** The same of a partition, which is named `topic#number`. */
  partition(partition: PartitionId): PartitionId {
    return `${this.#prefix}${partition}`;
  }

  /** Back from Kafka's name, of a topic or a partition. */
  stream(topic: string): string {
    return topic.slice(this.#prefix.length);
  }

  group(service: string): string {
    return `${this.#own}${service}`;
  }

  /** undefined for other pipelines' groups and for the election's. */
  service(group: string): string | undefined {
    return group.startsWith(this.#own) && group !== this.captureGroup ? group.slice(this.#own.length) : undefined;
  }
}

/** Names that Kafka would not take: too long, or alike but for dots and underscores, which its metrics cannot tell apart. */
export function nameFindings(names: TopicNames, streams: readonly StreamSpec[]): Finding[] {
  const ours = [...streams.map(({ topic }) => names.topic(topic)), names.control, names.notes];
  const findings: Finding[] = [];
  const seen = new Map<string, string>();
  const remedy = 'put its table into a stream of its own with another name (`streams` in the configuration)';
  for (const topic of ours) {
    const common = { level: 'error', code: 'LOG_FAILED', where: `log: ${topic}` } as const;
    if (topic.length > longestName)
      findings.push({ ...common, message: `the topic's name has ${topic.length} characters, Kafka takes ${longestName}: ${remedy}` });
    const flat = topic.replaceAll('.', '_');
    const twin = seen.get(flat);
    if (twin !== undefined && twin !== topic)
      findings.push({ ...common, message: `Kafka takes this name for the same as ${twin} (it reads . and _ alike): ${remedy}` });
    seen.set(flat, topic);
  }
  return findings;
}
