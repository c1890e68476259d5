/** Where a request goes: brokers, leaders and coordinators, found and found anew. TLS, SASL and framing are kafkajs's. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, Kafka } from 'kafkajs';
import { tlsOptions } from '../../src/config-tls.ts';
import { asCrossfadeError } from '../../src/core/errors.ts';
import { logClosed } from '../../src/core/log-errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { numberOf, topicOf } from '../../src/core/partition.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { KafkaSettings } from './config.ts';
import { codeError, isPassing, kafkaError, noLeader } from './errors.ts';
import { type ClientConfig, publicClient } from './kafkajs-private.ts';
import { type Address, BrokerLink, defaultDeadlineMs, type RequestOptions } from './link.ts';
import { type CoordinatorKind, findCoordinatorRequest } from './requests/find-coordinator.ts';
import { type ClusterMetadata, metadataRequest, type TopicMetadata } from './requests/metadata.ts';
import type { KafkaRequest } from './requests/request.ts';

export type Target =
  | { readonly leaderOf: PartitionId }
  | { readonly coordinator: CoordinatorKind; readonly key: string }
  | { readonly controller: true }
  | { readonly node: number }
  | { readonly any: true };

export interface SendOptions extends RequestOptions {
  /**
   * Which connection to the broker. It answers the requests of one connection one after the other, so one that waits (a
   * fetch, a join) stops all behind it. By default produce, fetch and everything else have one each.
   */
  readonly lane?: string | undefined;
}

export interface ClusterOptions {
  readonly clientId: string;
  readonly logger: Logger;
  /** Whoever works with it is to end: from then on brokers that do not answer are asked again for a moment only. */
  readonly stop?: AbortSignal | undefined;
}

/** Connects to nothing yet: that is done by the first request. */
export function openCluster(settings: KafkaSettings, options: ClusterOptions): Promise<KafkaCluster> {
  return Promise.resolve(new KafkaCluster(settings, options));
}

const lanes: ReadonlyMap<number, string> = new Map([
  [0, 'produce'],
  [1, 'fetch'],
]);
const stoppingMs = 1000;
const firstPauseMs = 50;
const longestPauseMs = 300;

export class KafkaCluster implements AsyncDisposable {
  readonly #settings: KafkaSettings;
  readonly #options: ClusterOptions;
  readonly #kafka: Kafka;
  readonly #links = new Map<string, Promise<BrokerLink>>();
  readonly #addresses = new Map<number, Address>();
  readonly #topics = new Map<string, TopicMetadata>();
  readonly #coordinators = new Map<string, number>();
  readonly #closed = new AbortController();
  #controllerId: number | undefined;
  #seed = 0;
  #admin: Promise<Admin> | undefined;
  #patientUntilMs = Infinity;

  constructor(settings: KafkaSettings, options: ClusterOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#kafka = publicClient(this.#clientConfig(), options.logger);
    const { stop } = options;
    if (stop?.aborted) this.#patientUntilMs = 0;
    stop?.addEventListener('abort', () => (this.#patientUntilMs = performance.now() + stoppingMs), { signal: this.#closed.signal });
  }

  /** One attempt. Throws ours; after a failure that another broker may not have, the next attempt looks for the place anew. */
  async send<T>(target: Target, request: KafkaRequest<T>, options: SendOptions = {}): Promise<T> {
    try {
      const link = await this.connect(target, options.lane ?? lanes.get(request.apiKey) ?? 'other', options.signal);
      return await link.send(request, options);
    } catch (error) {
      this.forget(target);
      throw error;
    }
  }

  /** Tries again for `deadlineMs` in all while the error is one that passes; the last one is thrown then. */
  async ask<T>(target: Target, request: KafkaRequest<T>, options: SendOptions = {}): Promise<T> {
    return this.retrying(() => this.send(target, request, options), options);
  }

  /** The same for anything that throws ours: used where an answer holds a code for each partition. */
  async retrying<T>(work: () => Promise<T>, { deadlineMs = 2 * defaultDeadlineMs, signal }: RequestOptions = {}): Promise<T> {
    const untilMs = performance.now() + deadlineMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        return await work();
      } catch (error) {
        signal?.throwIfAborted();
        const ours = asCrossfadeError(error);
        if (!isPassing(ours) || performance.now() + pauseMs > Math.min(untilMs, this.#patientUntilMs)) throw ours;
      }
      await this.#pause(pauseMs, signal);
    }
  }

  /** kafkajs's admin, connected. Its errors are kafkajs's: `kafkaError` makes ours of them. */
  async admin(): Promise<Admin> {
    this.#throwIfClosed();
    this.#admin ??= this.#connectAdmin();
    try {
      return await this.#admin;
    } catch (error) {
      this.#admin = undefined;
      throw kafkaError(error, this.#seedNames());
    }
  }

  /** Asks the cluster now, and remembers; a topic that is not there is answered with error code 3. */
  async metadata(topics: readonly string[], options: RequestOptions = {}): Promise<ClusterMetadata> {
    const metadata = await this.send({ any: true }, metadataRequest(topics), options);
    for (const { nodeId, host, port } of metadata.brokers) this.#addresses.set(nodeId, { host, port });
    this.#controllerId = metadata.controllerId;
    for (const topic of metadata.topics) this.#topics.set(topic.topic, topic);
    return metadata;
  }

  /** What was last heard of a topic, asked for when nothing was; throws LOG_UNREACHABLE (code 3) where it is not there. */
  async topic(topic: string, options: RequestOptions = {}): Promise<TopicMetadata> {
    const known = this.#topics.get(topic) ?? (await this.metadata([topic], options)).topics.find((each) => each.topic === topic);
    if (known && known.errorCode === 0) return known;
    this.#topics.delete(topic);
    throw codeError(known?.errorCode ?? 3, 'Metadata', topic);
  }

  /** The broker that leads this partition now, as far as it is known. */
  async leaderOf(partition: PartitionId, options: RequestOptions = {}): Promise<number> {
    const { partitions } = await this.topic(topicOf(partition), options);
    const leader = partitions.find((each) => each.partition === numberOf(partition))?.leader ?? -1;
    if (leader >= 0) return leader;
    this.#topics.delete(topicOf(partition));
    throw noLeader(partition);
  }

  /** What was known of this place is not to be trusted any more. */
  forget(target: Target): void {
    if ('leaderOf' in target) this.#topics.delete(topicOf(target.leaderOf));
    else if ('coordinator' in target) this.#coordinators.delete(coordinatorKey(target.coordinator, target.key));
    else if ('controller' in target) this.#controllerId = undefined;
  }

  /** A live connection to that place, shared by all who name the same lane. */
  async connect(target: Target, lane: string, signal?: AbortSignal): Promise<BrokerLink> {
    this.#throwIfClosed();
    if ('any' in target) return this.#anyLink(lane, signal);
    const node = await this.#nodeOf(target, signal);
    const address = this.#addresses.get(node);
    if (address) return this.#link(address, lane, signal);
    this.forget(target);
    throw noLeader(`broker ${node}`);
  }

  /** Begins to look for a place that will be asked soon; whoever asks it meets what fails here. */
  foresee(target: Exclude<Target, { readonly any: true }>): void {
    this.#nodeOf(target).catch(() => undefined);
  }

  /** Ends the connections of a lane that nobody uses any more. */
  release(lane: string): void {
    for (const [key, opening] of this.#links) {
      if (!key.endsWith(` ${lane}`)) continue;
      this.#links.delete(key);
      void opening.then((link) => link.drop(logClosed())).catch(() => undefined);
    }
  }

  async #nodeOf(target: Exclude<Target, { readonly any: true }>, signal?: AbortSignal): Promise<number> {
    if ('node' in target) return target.node;
    if ('leaderOf' in target) return this.leaderOf(target.leaderOf, { signal });
    if ('controller' in target) return this.#controllerId ?? (await this.metadata([], { signal })).controllerId;
    const key = coordinatorKey(target.coordinator, target.key);
    const known = this.#coordinators.get(key);
    if (known !== undefined) return known;
    const { nodeId, host, port } = await this.send({ any: true }, findCoordinatorRequest(target.coordinator, target.key), { signal });
    this.#addresses.set(nodeId, { host, port });
    this.#coordinators.set(key, nodeId);
    return nodeId;
  }

  async #anyLink(lane: string, signal?: AbortSignal): Promise<BrokerLink> {
    const { brokers } = this.#settings;
    // What the configuration names goes last: those brokers may be gone, the others have told of themselves.
    const seeds = brokers.map((_, index) => brokers[(this.#seed + index) % brokers.length] as Address);
    let failure: unknown;
    for (const address of [...this.#addresses.values(), ...seeds]) {
      try {
        return await this.#link(address, lane, signal);
      } catch (error) {
        signal?.throwIfAborted();
        failure = error;
      }
    }
    this.#seed += 1;
    throw failure;
  }

  async #link(address: Address, lane: string, signal?: AbortSignal): Promise<BrokerLink> {
    const key = `${address.host}:${address.port} ${lane}`;
    const known = this.#links.get(key);
    const link = await known?.catch(() => undefined);
    if (link && !link.closed) return link;
    this.#throwIfClosed();
    signal?.throwIfAborted();
    // Somebody else may have opened one meanwhile.
    const newer = this.#links.get(key);
    if (newer !== undefined && newer !== known) return newer;
    const opening = BrokerLink.open(this.#clientConfig(), this.#kafka.logger(), address);
    opening.catch(() => undefined);
    this.#links.set(key, opening);
    return opening;
  }

  async #connectAdmin(): Promise<Admin> {
    const admin = this.#kafka.admin();
    await admin.connect();
    return admin;
  }

  /** Made anew for each connection, so that a renewed certificate is found. */
  #clientConfig(): ClientConfig {
    const { brokers, tls, sasl } = this.#settings;
    const ssl = tlsOptions(tls);
    return {
      clientId: this.#options.clientId,
      brokers: brokers.map(({ host, port }) => `${host}:${port}`),
      ...(ssl && { ssl: { rejectUnauthorized: ssl.rejectUnauthorized, ...pem(ssl) } }),
      ...(sasl && { sasl: sasl as NonNullable<ClientConfig['sasl']> }),
    };
  }

  async #pause(pauseMs: number, signal?: AbortSignal): Promise<void> {
    await sleep(pauseMs, undefined, { signal: signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal }).catch(() => {
      signal?.throwIfAborted();
      throw logClosed();
    });
  }

  #seedNames(): string {
    return this.#settings.brokers.map(({ host, port }) => `${host}:${port}`).join(', ');
  }

  #throwIfClosed(): void {
    if (this.#closed.signal.aborted) throw logClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    for (const opening of this.#links.values()) void opening.then((link) => link.drop(logClosed())).catch(() => undefined);
    const admin = await this.#admin?.catch(() => undefined);
    // A frozen broker must not keep a process from ending.
    if (admin) await Promise.race([admin.disconnect().catch(() => undefined), sleep(1000, undefined, { ref: false })]);
  }
}

const coordinatorKey = (kind: CoordinatorKind, key: string) => `${kind} ${key}`;

function pem({ ca, cert, key }: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }) {
  return { ...(ca && { ca: [ca] }), ...(cert && { cert }), ...(key && { key }) };
}
