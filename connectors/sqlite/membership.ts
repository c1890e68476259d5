import type { Logger } from '../../src/core/ports.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { beat } from './beat.ts';
import type { GroupsFile } from './groups.ts';
import { type MemberId, takeMemberId } from './member-id.ts';
import type { Timing } from './settings.ts';

export interface MembershipParts {
  readonly groups: GroupsFile;
  readonly group: string;
  readonly partitions: readonly PartitionId[];
  readonly timing: Timing;
  readonly logger: Logger;
  /** Called when the share may have changed. */
  readonly changed: () => void;
}

/** This reader's place in its group, shown by signs of life. One that was silent too long is over: join anew. */
export class Membership implements Disposable {
  readonly #parts: MembershipParts;
  readonly #name: MemberId;
  readonly #member: string;
  readonly #beat: Disposable;
  /** undefined: never yet, and then none is news too. */
  #claimed: ReadonlySet<PartitionId> | undefined;
  #stolen = false;
  #share: readonly PartitionId[];
  #beatenAtMs = performance.now();
  /** The last attempt; one that failed leaves `#beatenAtMs`, which says for how long the group may still believe in us. */
  #triedAtMs = performance.now();
  #failing = false;
  #over = false;
  #left = false;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    const { groups, group, partitions, timing } = parts;
    this.#name = takeMemberId(groups.path, group);
    this.#member = this.#name.id;
    try {
      groups.join(group, this.#member, partitions);
    } catch (error) {
      this.#name[Symbol.dispose]();
      throw error;
    }
    // Buries the dead at once, so that a restarted process need not wait for its own former self to expire.
    groups.beat(group, this.#member);
    this.#share = groups.share(group, this.#member);
    this.#beat = beat(timing.heartbeat, () => this.#tick());
  }

  /** False when the group has given us up, or must have: a frozen process finds out before it delivers anything. */
  get holds(): boolean {
    return !this.#over && performance.now() - this.#beatenAtMs < this.#parts.timing.memberExpiry;
  }

  /** The whole share, when it is not what was claimed last or another claimed some of it in between; else undefined. */
  get toClaim(): readonly PartitionId[] | undefined {
    const claimed = this.#claimed;
    const same = this.#share.length === claimed?.size && this.#share.every((partition) => claimed.has(partition));
    return same && !this.#stolen ? undefined : this.#share;
  }

  /** Noted before the claim in the target, so that whoever had them hears of it at his next sign of life. */
  claim(partitions: readonly PartitionId[]): void {
    this.#parts.groups.own(this.#parts.group, this.#member, partitions);
    this.#claimed = new Set(partitions);
    this.#stolen = false;
  }

  /** For a reader that was kept from its timers: a look at the group that is overdue comes before the next delivery. */
  refresh(): void {
    if (performance.now() - this.#triedAtMs > 1.5 * this.#parts.timing.heartbeat) this.#tick();
  }

  /** After a claim: whether the share is still what was claimed, by a fresh look at the group. */
  confirmed(): boolean {
    this.#tick();
    return this.holds && this.toClaim === undefined;
  }

  #tick(): void {
    const { groups, group, logger, changed } = this.#parts;
    if (!this.holds) return;
    this.#triedAtMs = performance.now();
    try {
      this.#over = !groups.beat(group, this.#member);
      this.#beatenAtMs = performance.now();
      this.#share = groups.share(group, this.#member);
      const owned = groups.owned(group, this.#member);
      this.#stolen ||= [...(this.#claimed ?? [])].some((partition) => !owned.has(partition));
      if (this.#failing) logger.info({ group }, 'signs of life are written again');
      this.#failing = false;
      if (this.#over || this.toClaim) changed();
    } catch (error) {
      // Not fatal by itself: if it lasts, the membership runs out and joining anew says what is wrong.
      if (!this.#failing) logger.warn({ err: error, group }, 'sign of life could not be written, trying again with every one that is due');
      this.#failing = true;
    }
  }

  [Symbol.dispose](): void {
    if (this.#left) return;
    this.#left = true;
    this.#beat[Symbol.dispose]();
    try {
      this.#parts.groups.leave(this.#parts.group, this.#member);
    } catch (error) {
      this.#parts.logger.debug({ err: error }, 'leaving the group failed, it will expire');
    } finally {
      this.#name[Symbol.dispose]();
    }
  }
}
