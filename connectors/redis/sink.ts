import type { Redis } from 'ioredis';
import { CrossfadeError } from '../../src/core/errors.ts';
import { faultPoint } from '../../src/core/fault-point.ts';
import { topicOf } from '../../src/core/partition.ts';
import type { Finding, Logger } from '../../src/core/ports.ts';
import type { AppliedByOther, Mapping, Progress, Sink, SinkBatch, WriteOutcome } from '../../src/core/sink-port.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { TableSchema } from '../../src/core/change.ts';
import { Barriers } from './barrier.ts';
import { checkRedis } from './check.ts';
import type { RedisSettings } from './config.ts';
import { connectRedis, guarded, isUsable, loadScript, runScript, type Argument } from './connection.ts';
import { redisError } from './errors.ts';
import { ownKeys, parseProgress, progressArguments, progressFields, type OwnKeys } from './progress.ts';
import { foldByTargetKey, hashMapping, partsOf, type HashMapping, type Part } from './row-batch.ts';
import { Sweeper } from './sweep.ts';

const claimScript = loadScript('claim');
const writeScript = loadScript('write');
const resetScript = loadScript('reset');

/** Parts of one batch that may be under way at once, the last one never among them. */
const partsUnderWay = 4;

/**
 * Opens nothing yet: the first call connects, so that `check` can report a Redis that is not there. Settings come from
 * {@link redisSchema}, the mappings' options from redisMappingOptions; throws CONFIG_INVALID for a template that is none.
 */
export async function openRedisSink(
  settings: RedisSettings,
  options: {
    readonly pipeline: string;
    readonly service: string;
    readonly mappings: readonly Mapping[];
    readonly logger: Logger;
    /** Of the session that works with it: from then on a server that does not answer is given up. */
    readonly stop?: AbortSignal | undefined;
  },
): Promise<Sink> {
  return new RedisSink(settings, options);
}

/** What stands in Redis, as far as we know: the next write must find exactly this. */
interface Claim {
  readonly epoch: string;
  readonly progress: Progress | undefined;
}

class RedisSink implements Sink {
  readonly #settings: RedisSettings;
  readonly #pipeline: string;
  readonly #service: string;
  readonly #logger: Logger;
  readonly #stop: AbortSignal | undefined;
  readonly #mappings: readonly HashMapping[];
  readonly #keys: OwnKeys;
  readonly #sweeper: Sweeper;
  readonly #barriers: Barriers;
  readonly #claims = new Map<PartitionId, Claim>();
  #connecting: Promise<Redis> | undefined;
  #disposed = false;

  constructor(settings: RedisSettings, options: Parameters<typeof openRedisSink>[1]) {
    this.#settings = settings;
    this.#pipeline = options.pipeline;
    this.#service = options.service;
    this.#logger = options.logger;
    this.#stop = options.stop;
    this.#mappings = options.mappings.map(hashMapping);
    this.#keys = ownKeys(options.pipeline, options.service);
    this.#sweeper = new Sweeper(this.#keys, options.logger);
    this.#barriers = new Barriers(this.#keys, this.#mappings, this.#sweeper);
  }

  async check(schemas: readonly (TableSchema | undefined)[]): Promise<readonly Finding[]> {
    const { host, port, user } = this.#settings;
    return checkRedis(() => this.#connection(), {
      where: `service ${this.#service}`,
      address: `${host}:${port}`,
      user: user ?? 'default',
      mappings: this.#mappings,
      schemas,
      probeKey: `${this.#keys.partitions}:probe`,
    });
  }

  async progress(): Promise<ReadonlyMap<PartitionId, Progress>> {
    const redis = await this.#connection();
    return guarded(redis, 'reading progress', () => progressIn(redis, this.#keys));
  }

  async appliedByOthers(): Promise<readonly AppliedByOther[]> {
    const redis = await this.#connection();
    return guarded(redis, 'reading the progress of other pipelines', async () => {
      const others = (await redis.smembers(this.#keys.pipelines)).filter((pipeline) => pipeline !== this.#pipeline);
      const applied = await Promise.all(
        others.map(async (pipeline) => {
          const stands = (await progressIn(redis, ownKeys(pipeline, this.#service))).values().toArray();
          const [last] = stands.toSorted((one, other) => (one.version < other.version ? 1 : -1));
          return last ? [{ pipeline, transactionId: last.transactionId, committedAtUs: last.committedAtUs }] : [];
        }),
      );
      return applied.flat();
    });
  }

  async claim(partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, Progress>> {
    for (const partition of partitions) this.#claims.delete(partition);
    if (partitions.length === 0) return new Map();
    const { pipelines, partitions: registry } = this.#keys;
    const keys = [registry, pipelines, ...partitions.map((partition) => this.#keys.progress(partition))];
    const redis = await this.#connection();
    const answer = (await runScript(
      redis,
      claimScript,
      keys,
      [this.#pipeline, ...partitions],
      'claiming partitions',
    )) as readonly (readonly unknown[])[];
    const progress = present(
      partitions,
      answer.map((values) => values.slice(1)),
    );
    for (const [at, partition] of partitions.entries()) {
      this.#claims.set(partition, { epoch: String(answer[at]?.[0]), progress: progress.get(partition) });
    }
    return progress;
  }

  async write(batch: SinkBatch): Promise<WriteOutcome> {
    const claim = this.#claims.get(batch.partition);
    if (!claim) throw fenced(batch.partition, 'this sink has not claimed it, or does not know how its last write ended');
    const redis = await this.#connection();
    if (batch.barrier !== undefined) return this.#arrive(redis, batch, batch.barrier, claim);
    const states = foldByTargetKey(batch.entries, this.#mappings);
    const underWay = new Set<Promise<void>>();
    try {
      for (const part of partsOf(states)) {
        if (part.last) {
          // Only the last part moves the progress, so it may go only when all the others are known to be in.
          await Promise.all(underWay);
          await this.#finish(redis, batch, claim, part);
          continue;
        }
        // One that fails stays in the set: whoever waits next meets it.
        const sent = this.#send(redis, batch, claim, part).then(() => void underWay.delete(sent));
        underWay.add(sent);
        if (underWay.size >= partsUnderWay) await Promise.race(underWay);
      }
    } finally {
      await Promise.allSettled(underWay);
    }
    const buried = states.values().reduce((count, { row }) => count + (row === undefined ? 1 : 0), 0);
    await this.#sweeper.buried(redis, topicOf(batch.partition), buried);
    // Redis promises no whole transactions: a part of one is applied like everything else.
    return 'committed';
  }

  async #arrive(redis: Redis, batch: SinkBatch, all: readonly PartitionId[], claim: Claim): Promise<WriteOutcome> {
    const { partition, progress } = batch;
    this.#claims.delete(partition);
    const answer = await this.#barriers.arrive(redis, batch, all, claim);
    if (answer === 'owner' || answer === 'progress') throw moved(partition, answer);
    this.#claims.set(partition, answer === 'waiting' ? claim : { epoch: claim.epoch, progress });
    return answer === 'waiting' ? 'waiting' : 'committed';
  }

  async #finish(redis: Redis, batch: SinkBatch, claim: Claim, part: Part): Promise<void> {
    this.#claims.delete(batch.partition);
    faultPoint('sink:before-commit');
    await this.#send(redis, batch, claim, part);
    faultPoint('sink:after-commit');
    this.#claims.set(batch.partition, { epoch: claim.epoch, progress: batch.progress });
  }

  async #send(redis: Redis, { partition, progress }: SinkBatch, claim: Claim, part: Part): Promise<void> {
    const keys = [this.#keys.progress(partition), this.#keys.tombstones(partition), ...part.keys];
    const next = part.last ? progressArguments(progress) : [];
    const before = claim.progress;
    const head: Argument[] = [claim.epoch, before?.logId ?? '', before ? String(before.nextOffset) : '', before?.version ?? ''];
    const args = [...head, String(next.length), ...next, ...part.args];
    const [answer, at] = (await runScript(redis, writeScript, keys, args, `writing a batch of ${partition}`)) as [string, number?];
    if (answer === 'written') return;
    if (answer === 'type') throw this.#otherType(part.mappings[(at ?? 1) - 1] as number);
    this.#claims.delete(partition);
    throw moved(partition, answer);
  }

  #otherType(mapping: number): CrossfadeError {
    const text = this.#mappings[mapping]?.template.text ?? '';
    return new CrossfadeError({
      code: 'TARGET_FAILED',
      fault: 'fatal',
      message: `a key of the template "${text}" holds something that is not a hash`,
      remedy: 'Another program uses keys of this form. Remove those keys, or give this table another key template.',
    });
  }

  async reset(partitions: readonly PartitionId[]): Promise<void> {
    for (const partition of partitions) this.#claims.delete(partition);
    if (partitions.length === 0) return;
    const keys = partitions.map((partition) => this.#keys.progress(partition));
    await runScript(await this.#connection(), resetScript, keys, [], 'forgetting progress');
  }

  /** A dead connection is replaced: what its last write did is settled by the next claim. */
  async #connection(): Promise<Redis> {
    if (this.#disposed) throw redisError(new Error('Connection is closed.'), 'using a disposed sink');
    const current = this.#connecting;
    const redis = await current;
    if (redis && isUsable(redis)) return redis;
    if (this.#connecting === current) {
      const connecting = connectRedis(this.#settings, this.#logger, { stop: this.#stop });
      this.#connecting = connecting;
      connecting.catch(() => {
        if (this.#connecting === connecting) this.#connecting = undefined;
      });
    }
    return this.#connection();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#claims.clear();
    const redis = await this.#connecting?.catch(() => undefined);
    redis?.disconnect();
  }
}

async function progressIn(redis: Redis, keys: OwnKeys): Promise<Map<PartitionId, Progress>> {
  const partitions = await redis.smembers(keys.partitions);
  const values = await Promise.all(partitions.map((partition) => redis.hmget(keys.progress(partition), ...progressFields)));
  return present(partitions, values);
}

function present(partitions: readonly PartitionId[], values: readonly (readonly unknown[])[]): Map<PartitionId, Progress> {
  const found = new Map<PartitionId, Progress>();
  for (const [at, partition] of partitions.entries()) {
    const progress = parseProgress(values[at] ?? [], partition);
    if (progress) found.set(partition, progress);
  }
  return found;
}

const moved = (partition: PartitionId, answer: string) =>
  fenced(partition, answer === 'owner' ? 'another worker has claimed it' : 'its progress in Redis is not what this worker left there');

function fenced(partition: PartitionId, why: string): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `${partition} is not ours to write: ${why}`,
    remedy: 'Nothing to do: the service claims it again and goes on from where Redis says it is.',
  });
}
