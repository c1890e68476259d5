import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { Command, Redis, type RedisOptions } from 'ioredis';
import { Unanswered } from '../../src/core/unanswered.ts';
import { tlsOptions } from '../../src/config-tls.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { RedisSettings } from './config.ts';
import { redisError } from './errors.ts';

/** Longer than any script of ours runs, shorter than a person waits. */
const longestAnswerMs = 15_000;
const connectTimeoutMs = 5_000;

interface ConnectOptions {
  /** The longest that any command may take; 15 s. */
  readonly answerWithinMs?: number;
  /** Whoever works with the connection is to end: a Redis that does not answer is not waited for any more. */
  readonly stop?: AbortSignal | undefined;
}

/** What each connection waits for. */
const waits = new WeakMap<Redis, Unanswered>();

/**
 * One connection that never mends itself: ioredis would send again what was in flight, and it never settles what it does
 * not send again. Here everything in flight fails at once, and the caller begins anew from what Redis says.
 */
export async function connectRedis(settings: RedisSettings, logger: Logger, options: ConnectOptions = {}): Promise<Redis> {
  const redis = new Redis({
    host: settings.host,
    port: settings.port,
    ...(settings.user === undefined ? {} : { username: settings.user }),
    ...(settings.password === undefined ? {} : { password: settings.password }),
    db: settings.database,
    ...tlsTo(settings),
    connectionName: 'crossfade',
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    commandTimeout: options.answerWithinMs ?? longestAnswerMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    // The check asks INFO, which a careful ACL forbids; a server that is still loading says so to the first command.
    enableReadyCheck: false,
  });
  // A refused SELECT comes only as an event: the connection would then be ready, in database 0.
  const problems: unknown[] = [];
  redis.on('error', (error: unknown) => {
    problems.push(error);
    logger.debug({ err: redisError(error, 'connection to Redis') }, 'redis connection error');
  });
  const unanswered = new Unanswered(options.stop, () => {
    giveUp(redis);
    // disconnect() waits for the peer to close its side too; before the first attempt there is no stream.
    (redis.stream as typeof redis.stream | undefined)?.destroy();
  });
  waits.set(redis, unanswered);
  redis.once('end', () => unanswered[Symbol.dispose]());
  try {
    await unanswered.opening(() => redis.connect());
    if (problems.length > 0) throw problems[0];
  } catch (error) {
    redis.disconnect();
    throw redisError(problems[0] ?? error, 'connecting to Redis');
  }
  problems.length = 0;
  return redis;
}

function tlsTo({ tls, host }: RedisSettings): Pick<RedisOptions, 'tls'> {
  const options = tlsOptions(tls);
  // An address is no name that a server could be asked for.
  return options ? { tls: { ...options, ...(isIP(host) ? {} : { servername: host }) } } : {};
}

interface Script {
  readonly lua: string;
  readonly sha: string;
}

const readScript = (name: string) => readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8');

export function loadScript(name: 'write' | 'barrier' | 'empty' | 'claim' | 'reset' | 'sweep' | 'probe'): Script {
  const lua = `${readScript('compare')}\n${readScript(name)}`;
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

export type Argument = string | Buffer;

/** EVALSHA, and EVAL where the server does not know the script (yet, or any more): it has then done nothing. Answers strings. */
export async function runScript(
  redis: Redis,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
  doing: string,
): Promise<unknown> {
  return guarded(redis, doing, () => evaluate(redis, script, keys, args));
}

/**
 * Errors as ours. A connection that did not answer, or leads to a server that is no primary any more, is given up: the
 * next one may find another server behind the same name, and a dead peer would never be noticed on this one.
 */
export async function guarded<T>(redis: Redis, doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await (waits.get(redis)?.during(work) ?? work());
  } catch (error) {
    const known = redisError(error, doing);
    if (known.code === 'TARGET_UNREACHABLE') giveUp(redis);
    throw known;
  }
}

/** ioredis calls a connection ready until the peer has closed its side too, which a dead one never does. */
const givenUp = new WeakSet<Redis>();

function giveUp(redis: Redis): void {
  givenUp.add(redis);
  redis.disconnect();
}

export function isUsable(redis: Redis): boolean {
  return redis.status === 'ready' && !givenUp.has(redis);
}

/** The same with the driver's own error. */
export async function evaluate(redis: Redis, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
  // Not redis.evalsha(...args): a spread of a large batch overflows the stack.
  const send = (command: 'evalsha' | 'eval', body: string) =>
    redis.sendCommand(new Command(command, [body, String(keys.length), ...keys, ...args], { replyEncoding: 'utf8' })) as Promise<unknown>;
  try {
    return await send('evalsha', script.sha);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    return send('eval', script.lua);
  }
}
