/** Reading as a member of a group: claims what it is given, delivers it while it is its own, and claims anew when that may have changed. */
import type { Delivery, Offsets, PartitionId, ReadPlace, ReadPlaces } from '../../src/core/log-port.ts';
import type { ReadPauses } from '../../src/core/pauses.ts';
import type { CursorParts } from './cursors.ts';
import { Cursors } from './cursors.ts';
import { Membership, type MembershipParts } from './membership.ts';
import type { TopicNames } from './topic-names.ts';
import { Wakeup } from './wakeup.ts';

export interface GroupReaderParts {
  readonly names: TopicNames;
  readonly membership: Omit<MembershipParts, 'changed'>;
  readonly cursors: Omit<CursorParts, 'arrived'>;
  /** Resolves when there is something to claim. */
  readonly made: () => Promise<void>;
  /** In the log's own names. */
  readonly claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>;
  readonly signal: AbortSignal;
}

/** Woken by whatever happens; this only bounds what a lost wake-up would cost. */
const longestWaitMs = 1000;
const beginning: ReadPlace = { offset: 0, term: 0 };

export class GroupReader implements AsyncDisposable {
  readonly #parts: GroupReaderParts;
  readonly #wakeup = new Wakeup();
  readonly #membership: Membership;
  #cursors: Cursors | undefined;

  constructor(parts: GroupReaderParts) {
    this.#parts = parts;
    this.#membership = new Membership({ ...parts.membership, changed: () => this.#wakeup.wake() });
  }

  /** How far it is, for whoever looks at the group; in the log's own names. */
  applied(offsets: Offsets): Promise<void> {
    const { names } = this.#parts;
    return this.#membership.commit(new Map([...offsets].map(([partition, offset]) => [names.partition(partition), offset])));
  }

  async *deliveries(): AsyncGenerator<Delivery, void, undefined> {
    const { signal, names, cursors: parts } = this.#parts;
    const membership = this.#membership;
    using _resumed = parts.pauses.onResume(() => {
      this.#cursors?.poke();
      this.#wakeup.wake();
    });
    await this.#parts.made();
    while (!signal.aborted) {
      await this.#wakeup.turn();
      if (membership.failure) throw membership.failure;
      const share = membership.toClaim;
      if (share) {
        await this.#claim(share);
        continue;
      }
      // While the group may have given the share to others, nothing of it is delivered; it goes on where it was, or is claimed anew.
      const delivery = membership.confirmed ? this.#cursors?.next() : undefined;
      if (delivery) yield { ...delivery, partition: names.stream(delivery.partition) };
      else await this.#wakeup.wait(longestWaitMs, signal);
    }
  }

  async #claim(share: readonly PartitionId[]): Promise<void> {
    const { names, claim, signal } = this.#parts;
    const membership = this.#membership;
    membership.claim();
    this.#cursors?.[Symbol.dispose]();
    this.#cursors = undefined;
    const from = await claim(share.map((partition) => names.stream(partition)));
    // Whoever took some of it meanwhile may have moved on, and retention with it: then these answers are old.
    if (signal.aborted || !membership.confirmed) return membership.unclaim();
    const places = new Map(share.map((partition) => [partition, from.get(names.stream(partition)) ?? beginning]));
    this.#cursors = await Cursors.open({ ...this.#parts.cursors, arrived: () => this.#wakeup.wake() }, places, signal);
    void membership.commit(new Map([...places].map(([partition, { offset }]) => [partition, offset])));
  }

  /** Gives the share back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cursors?.[Symbol.dispose]();
    await this.#membership[Symbol.asyncDispose]();
  }
}

/** The same pauses, asked for by Kafka's names. */
export const kafkaPauses = (pauses: ReadPauses, names: TopicNames): ReadPauses => ({
  has: (partition) => pauses.has(names.stream(partition)),
  onResume: (listener) => pauses.onResume(listener),
});
