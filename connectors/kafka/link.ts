/** One connection to one broker, with one life: once anything on it failed, everything on it has failed, and a new one is opened. */
import type { Logger as KafkaLogger } from 'kafkajs';
import { connectionLost, kafkaError, noAnswer } from './errors.ts';
import { type ApiVersions, type ClientConfig, type PrivateBroker, privateBroker, type PrivateConnection } from './kafkajs-private.ts';
import { type KafkaRequest, ProtocolError, requestHead } from './requests/request.ts';

export interface RequestOptions {
  /** How long the broker may take. Then the connection is dropped: a frozen broker's answer could come at any time. */
  readonly deadlineMs?: number | undefined;
  /** Ends the wait, not the request: its answer is thrown away when it comes. */
  readonly signal?: AbortSignal | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const defaultDeadlineMs = 15_000;
const connectDeadlineMs = 10_000;
const unsupportedVersion = 35;

export class BrokerLink {
  readonly address: Address;
  readonly #broker: PrivateBroker;
  readonly #connection: PrivateConnection;
  #failure: unknown;

  /** Connects, asks for the versions and logs in; throws LOG_UNREACHABLE or LOG_AUTH. */
  static async open(config: ClientConfig, logger: KafkaLogger, address: Address, signal?: AbortSignal): Promise<BrokerLink> {
    const link = new BrokerLink(config, logger, address);
    await link.#within(link.#broker.connect(), 'connect', { deadlineMs: connectDeadlineMs, signal });
    // Small requests must not wait until the answer to the one before is acknowledged.
    link.#connection.socket?.setNoDelay(true);
    return link;
  }

  private constructor(config: ClientConfig, logger: KafkaLogger, address: Address) {
    this.address = address;
    this.#broker = privateBroker(config, logger, address);
    const [connection] = this.#broker.connectionPool.pool;
    if (!connection) throw new TypeError('kafkajs made no connection');
    this.#connection = connection;
  }

  get closed(): boolean {
    return this.#failure !== undefined || !this.#connection.isConnected();
  }

  get versions(): ApiVersions {
    return this.#broker.versions ?? {};
  }

  /**
   * One request; several may be outstanding, and the broker answers them in order. Throws LOG_UNREACHABLE when the connection
   * ends or the deadline passes: whether the broker has done it is unknown then. A ProtocolError comes as ours, by errors.ts.
   */
  send<T>(request: KafkaRequest<T>, options: RequestOptions = {}): Promise<T> {
    const { apiKey, apiVersion, apiName } = request;
    if (this.#mustEnd()) return Promise.reject(connectionLost(this.#where(apiName), this.#failure));
    const versions = this.versions[apiKey];
    if (!versions || versions.minVersion > apiVersion || versions.maxVersion < apiVersion)
      return Promise.reject(kafkaError(new ProtocolError(unsupportedVersion, apiName), this.#where(apiName)));
    const sent = this.#queue(request).then((answer) => request.decode(answer));
    return this.#within(sent, apiName, options);
  }

  /** As kafkajs's own `send` does it, except that the request's pieces go to the socket as they are: it would copy them twice. */
  async #queue<T>(request: KafkaRequest<T>): Promise<Buffer> {
    const { apiKey, apiVersion, apiName } = request;
    const connection = this.#connection;
    connection.failIfNotConnected();
    const correlationId = connection.nextCorrelationId();
    const encoded = request.encode();
    const pieces = Buffer.isBuffer(encoded) ? [encoded] : encoded;
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const head = requestHead({ apiKey, apiVersion, correlationId, clientId: connection.clientId }, bytes);
    const { payload } = await new Promise<{ readonly payload: Buffer }>((resolve, reject) => {
      connection.requestQueue.push({
        entry: { apiKey, apiName, apiVersion, correlationId, resolve, reject },
        expectResponse: true,
        requestTimeout: null,
        sendRequest: () => this.#write([head, ...pieces]),
      });
    });
    return payload;
  }

  #write(pieces: readonly Buffer[]): void {
    const { socket } = this.#connection;
    socket?.cork();
    for (const piece of pieces) socket?.write(piece);
    socket?.uncork();
  }

  /** Ends it at once; everything outstanding fails with the reason. */
  drop(reason: unknown = connectionLost(this.#where('close'))): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#connection.rejectRequests(reason instanceof Error ? reason : connectionLost(this.#where('close'), reason));
    this.#connection.socket?.destroy();
    // It only marks itself and clears its timers: nothing is pending any more.
    void this.#connection.disconnect().catch(() => undefined);
  }

  /** A login that ran out would be renewed among the answers to other requests, and kafkajs mixes them up: a new connection is safe. */
  #mustEnd(): boolean {
    if (!this.closed && this.#connection.sasl && !this.#connection.isAuthenticated()) this.drop();
    return this.closed;
  }

  #where(what: string): string {
    return `${this.address.host}:${this.address.port} (${what})`;
  }

  async #within<T>(work: Promise<T>, what: string, { deadlineMs = defaultDeadlineMs, signal }: RequestOptions): Promise<T> {
    work.catch(() => undefined);
    const over = Promise.withResolvers<never>();
    over.promise.catch(() => undefined);
    const late = setTimeout(() => {
      const error = noAnswer(this.#where(what), deadlineMs);
      this.drop(error);
      over.reject(error);
    }, deadlineMs);
    const aborted = () => over.reject(signal?.reason);
    if (signal?.aborted) aborted();
    signal?.addEventListener('abort', aborted, { once: true });
    try {
      return await Promise.race([work, over.promise]);
    } catch (error) {
      signal?.throwIfAborted();
      if (this.#failure !== undefined && !(error instanceof ProtocolError)) throw kafkaError(this.#failure, this.#where(what));
      const ours = kafkaError(error, this.#where(what));
      if (!this.#connection.isConnected()) this.drop(ours);
      throw ours;
    } finally {
      clearTimeout(late);
      signal?.removeEventListener('abort', aborted);
    }
  }
}
