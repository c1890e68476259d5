/**
 * The one place that reaches into kafkajs: the package's last release is of 2023 and pinned exactly, and its public
 * producer loses acknowledged rows (see docs/decisions). test/contract/kafkajs-private.test.ts fails on any other shape.
 */
import { createRequire } from 'node:module';
import { Kafka, type KafkaConfig, type Logger as KafkaLogger, logLevel } from 'kafkajs';
import type { Logger } from '../../src/core/ports.ts';

/** Whoever waits for an answer; kafkajs finds it by the correlation id. */
interface QueuedRequest {
  readonly entry: {
    readonly apiKey: number;
    readonly apiName: string;
    readonly apiVersion: number;
    readonly correlationId: number;
    /** `payload` is the answer without its correlation id. */
    resolve(answer: { readonly payload: Buffer }): void;
    reject(error: Error): void;
  };
  readonly expectResponse: true;
  readonly requestTimeout: null;
  sendRequest(): void;
}

export interface PrivateConnection {
  readonly sasl: unknown;
  readonly clientId: string;
  readonly socket?: {
    cork(): void;
    uncork(): void;
    write(bytes: Uint8Array): boolean;
    destroy(): void;
    setNoDelay(on: boolean): void;
  };
  readonly requestQueue: { push(request: QueuedRequest): void };
  isConnected(): boolean;
  isAuthenticated(): boolean;
  failIfNotConnected(): void;
  nextCorrelationId(): number;
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
}

interface PrivatePool {
  readonly pool: readonly PrivateConnection[];
}

export interface ApiVersions {
  readonly [apiKey: number]: { readonly minVersion: number; readonly maxVersion: number } | undefined;
}

export interface PrivateBroker {
  readonly versions: ApiVersions | null;
  readonly connectionPool: PrivatePool;
  connect(): Promise<void>;
}

interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  scheduleCheckPendingRequests: (this: RequestQueue) => void;
}

type Constructor<Options, Made> = new (options: Options) => Made;

const reach = createRequire(import.meta.url);
const BrokerClass = reach('kafkajs/src/broker') as Constructor<Record<string, unknown>, PrivateBroker>;
const PoolClass = reach('kafkajs/src/network/connectionPool') as Constructor<Record<string, unknown>, PrivatePool>;
const QueueClass = reach('kafkajs/src/network/requestQueue') as { readonly prototype: RequestQueue };
const defaultSocketFactory = reach('kafkajs/src/network/socketFactory') as () => unknown;

/** Its timer re-arms itself for ever with a negative delay: 900 wake-ups a second on an idle connection, and a warning of Node's. */
function patchIdleQueue(): void {
  const original = QueueClass.prototype.scheduleCheckPendingRequests;
  QueueClass.prototype.scheduleCheckPendingRequests = function scheduleWhenThereIsAny(this: RequestQueue): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) original.call(this);
  };
}
patchIdleQueue();

export type ClientConfig = Pick<KafkaConfig, 'ssl' | 'sasl'> & { readonly clientId: string; readonly brokers: string[] };

/** In milliseconds. */
const connectionTimeout = 5000;
/** kafkajs's own limit on a request; ours is shorter and drops the connection with it. */
const requestTimeout = 300_000;

/** The public client, for its admin. Its log goes to ours, at debug: what matters we say ourselves. */
export function publicClient(config: ClientConfig, logger: Logger): Kafka {
  return new Kafka({
    ...config,
    connectionTimeout,
    requestTimeout: 30_000,
    retry: { retries: 8, initialRetryTime: 100, maxRetryTime: 2000 },
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, label, log }) =>
        logger.debug({ kafkajs: `${namespace} ${label}` }, log.message),
  });
}

/** A broker of its own with connections of its own; nothing is connected yet. */
export function privateBroker(
  config: ClientConfig,
  logger: KafkaLogger,
  address: { readonly host: string; readonly port: number },
): PrivateBroker {
  const connectionPool = new PoolClass({
    ...address,
    rack: null,
    ssl: config.ssl ?? null,
    sasl: config.sasl ?? null,
    clientId: config.clientId,
    logger,
    socketFactory: defaultSocketFactory(),
    connectionTimeout,
    requestTimeout,
    // Its check runs ten times a second on every connection; our own deadlines need one timer a request.
    enforceRequestTimeout: false,
    maxInFlightRequests: null,
  });
  return new BrokerClass({ connectionPool, logger, allowAutoTopicCreation: false, authenticationTimeout: 10_000 });
}
