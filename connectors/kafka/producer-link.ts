/** A producer's connection to one broker: opened again only when everything on the last one has been answered or has failed. */
import { asCrossfadeError, type CrossfadeError } from '../../src/core/errors.ts';
import type { KafkaCluster } from './cluster.ts';
import type { BrokerLink } from './link.ts';
import type { KafkaRequest } from './requests/request.ts';

interface Events {
  readonly opened: () => void;
  readonly failed: (error: CrossfadeError) => void;
}

export class ProducerLink {
  readonly #cluster: KafkaCluster;
  readonly #node: number;
  readonly #signal: AbortSignal;
  readonly #events: Events;
  #link: BrokerLink | undefined;
  #outstanding = 0;
  #connecting = false;

  constructor(cluster: KafkaCluster, node: number, signal: AbortSignal, events: Events) {
    this.#cluster = cluster;
    this.#node = node;
    this.#signal = signal;
    this.#events = events;
  }

  get open(): boolean {
    return this.#link !== undefined && !this.#link.closed;
  }

  /** Does nothing while it is on the way, or while failures of the last connection are still to be told. */
  connect(): void {
    if (this.#connecting || this.#outstanding > 0) return;
    this.#connecting = true;
    void this.#connect();
  }

  async #connect(): Promise<void> {
    try {
      this.#link = await this.#cluster.connect({ node: this.#node }, 'producer', this.#signal);
      this.#connecting = false;
      this.#events.opened();
    } catch (error) {
      this.#connecting = false;
      if (!this.#signal.aborted) this.#events.failed(asCrossfadeError(error));
    }
  }

  /** In the order of the calls; only on an open one. */
  async send<T>(request: KafkaRequest<T>, deadlineMs: number): Promise<T> {
    this.#outstanding += 1;
    try {
      return await (this.#link as BrokerLink).send(request, { deadlineMs });
    } finally {
      this.#outstanding -= 1;
    }
  }

  drop(): void {
    this.#link?.drop();
  }
}
