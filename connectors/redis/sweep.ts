import type { Redis } from 'ioredis';
import { topicOf } from '../../src/core/partition.ts';
import type { Logger } from '../../src/core/ports.ts';
import { loadScript, runScript } from './connection.ts';
import type { OwnKeys } from './progress.ts';

const sweepScript = loadScript('sweep');
/** Fewer tombstones than this are not worth the looking. */
const worthwhile = 10_000;

/**
 * Forgets tombstones that every partition of their topic has passed, never by time. A sweep looks at all of a topic's
 * tombstones, so the next one waits for as many new ones as it left: each costs a bounded share.
 */
export class Sweeper {
  readonly #keys: OwnKeys;
  readonly #logger: Logger;
  readonly #threshold: number;
  readonly #topics = new Map<string, { buried: number; due: number }>();

  constructor(keys: OwnKeys, logger: Logger, threshold = worthwhile) {
    this.#keys = keys;
    this.#logger = logger;
    this.#threshold = threshold;
  }

  async buried(redis: Redis, topic: string, count: number): Promise<void> {
    const state = this.#topics.get(topic) ?? { buried: 0, due: this.#threshold };
    state.buried += count;
    this.#topics.set(topic, state);
    if (state.buried < state.due) return;
    await this.sweep(redis, topic);
  }

  /** Now, however few there are: behind a TRUNCATE none is left. */
  async sweep(redis: Redis, topic: string): Promise<void> {
    const state = this.#topics.get(topic) ?? { buried: 0, due: this.#threshold };
    this.#topics.set(topic, state);
    state.buried = 0;
    try {
      const left = await this.#sweep(redis, topic);
      state.due = Math.max(this.#threshold, left);
      this.#logger.debug({ topic, left }, 'tombstones swept');
    } catch (error) {
      // The batch is committed and a tombstone too many does no harm: the next write meets the same trouble, and says so.
      this.#logger.debug({ topic, err: error }, 'tombstones not swept');
    }
  }

  async #sweep(redis: Redis, topic: string): Promise<number> {
    const partitions = (await redis.smembers(this.#keys.partitions)).filter((partition) => topicOf(partition) === topic);
    const tombstones = this.#keys.tombstones(`${topic}#0`);
    const keys = [tombstones, ...partitions.map((partition) => this.#keys.progress(partition))];
    let cursor = '0';
    do {
      const answer = (await runScript(redis, sweepScript, keys, [cursor], 'sweeping tombstones')) as readonly [string, number];
      cursor = answer[0];
    } while (cursor !== '0');
    return await redis.hlen(tombstones);
  }
}
