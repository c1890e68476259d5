/** A service may start before the first capture has made the topics: it waits for them, quietly at first. */
import { setTimeout as sleep } from 'node:timers/promises';
import { notMadeYet } from '../../src/core/log-errors.ts';
import type { StreamSpec } from '../../src/core/log-port.ts';
import { partitionId } from '../../src/core/partition.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { KafkaCluster } from './cluster.ts';
import { existingTopics } from './ranges.ts';
import type { TopicNames } from './topic-names.ts';
import { comparePartitions } from './topics.ts';

export interface AwaitedTopics {
  readonly cluster: KafkaCluster;
  readonly names: TopicNames;
  readonly streams: readonly StreamSpec[];
  readonly logger: Logger;
  /** So long is no trouble yet. */
  readonly patienceMs: number;
}

const firstPauseMs = 50;
const longestPauseMs = 500;

/** Throws LOG_UNREACHABLE when they are still missing after the patience, and the signal's reason when that aborts. */
export async function topicsMade({ cluster, names, streams, logger, patienceMs }: AwaitedTopics, signal: AbortSignal): Promise<void> {
  const topics = streams.map(({ topic }) => names.topic(topic));
  const untilMs = performance.now() + patienceMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const found = await cluster.retrying(() => existingTopics(cluster, topics, { signal }), { signal });
    comparePartitions(names, streams, found);
    const missing = streams.filter(({ topic }) => !found.has(names.topic(topic)));
    const [first] = missing;
    if (first === undefined) return;
    if (pauseMs === firstPauseMs) logger.info({ topics: missing.length }, 'waiting for the first capture, which makes the topics');
    if (performance.now() > untilMs) throw notMadeYet(partitionId(first.topic, 0));
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
