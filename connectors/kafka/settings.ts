/** What opens a log on Kafka, and the times and sizes it keeps. */
import type { StreamSpec } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Codec } from '../../src/core/record-batch.ts';

export interface KafkaLogOptions {
  readonly pipeline: string;
  /** The streams that this process deals in; whoever leads creates those that are missing. */
  readonly streams: readonly StreamSpec[];
  readonly codec: Codec;
  readonly logger: Logger;
  /** Of the session that works with it: once aborted, a cluster that is away keeps nobody for long, whatever is asked. */
  readonly stop?: AbortSignal | undefined;
  readonly timing?: Partial<Timing>;
  readonly delivery?: Partial<DeliveryLimits>;
}

/** In milliseconds. */
export interface Timing {
  /** How often members show that they live, and so the longest that they do not know of a change in the group. */
  readonly heartbeat: number;
  /** A member that was silent for so long has lost its partitions. The brokers allow no less than 6 seconds by default. */
  readonly session: number;
  /** How long a fetch waits at the broker where there is nothing new. */
  readonly fetchWait: number;
  /** So long a reader goes on trying by itself while nothing answers; then it says so. */
  readonly outage: number;
  /** So long a reader waits without a word for topics that no capture has made yet, and capture for the leaders of those it made. */
  readonly newTopics: number;
}

export const defaultTiming: Timing = { heartbeat: 500, session: 10_000, fetchWait: 200, outage: 15_000, newTopics: 30_000 };

/** One delivery: at least one stored batch, then no more than this. Bytes are those of keys and values. */
export interface DeliveryLimits {
  readonly bytes: number;
  readonly records: number;
}

/** As the embedded log's: with a batch at a time, the target spends half as much again on each row. */
export const defaultDelivery: DeliveryLimits = { bytes: 4 * 1024 * 1024, records: 20_000 };
