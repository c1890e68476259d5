/**
 * One reader's place in a consumer group, kept alive by a timer of its own: joins, shares out when it leads the group, shows
 * signs of life, joins again when others come or go. While the group waits for its members the share stays good; between
 * JoinGroup's answer and SyncGroup's nothing of it is.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asCrossfadeError, type CrossfadeError } from '../../src/core/errors.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import { assignSticky } from './assign-sticky.ts';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './assignment.ts';
import type { KafkaCluster } from './cluster.ts';
import { codeError } from './errors.ts';
import { foreignGroup, sessionRefused } from './group-errors.ts';
import { heartbeatRequest, joinGroupRequest, type JoinAnswer, leaveGroupRequest, syncGroupRequest } from './requests/group-members.ts';
import { groupOffsets, offsetCommitRequest } from './requests/group-offsets.ts';
import type { KafkaRequest } from './requests/request.ts';
import type { Timing } from './settings.ts';

export interface MembershipParts {
  readonly cluster: KafkaCluster;
  readonly group: string;
  /** All that this member could read, by Kafka's names. */
  readonly partitions: readonly PartitionId[];
  readonly timing: Timing;
  readonly logger: Logger;
  /** The share, or whether it holds, may have changed. */
  readonly changed: () => void;
}

const protocol = 'crossfade-sticky';
const longestPauseMs = 1000;
const illegalGeneration = 22;
const inconsistentProtocol = 23;
const unknownMember = 25;
const invalidSession = 26;
const rebalancing = 27;
const memberIdRequired = 79;

export class Membership implements AsyncDisposable {
  readonly #parts: MembershipParts;
  /** A connection of its own: a join waits for all the others, and holds up what is behind it. */
  readonly #lane = `group ${randomUUID()}`;
  readonly #left = new AbortController();
  readonly #living: Promise<void>;
  readonly #commits = new Map<PartitionId, number>();
  #memberId = '';
  #generation = -1;
  #share: readonly PartitionId[] = [];
  /** Grows when the share is another one, or was another's in between. */
  #version = 0;
  #claimedVersion = 0;
  /** True from JoinGroup's answer until SyncGroup's, and where the group has given us up. */
  #out = true;
  #aliveAtMs = -Infinity;
  /** It had a share once, if only an empty one. */
  #settled = false;
  #failure: CrossfadeError | undefined;
  /** Since when nobody answers, and what was last heard instead. */
  #bad: { readonly sinceMs: number; readonly error: CrossfadeError } | undefined;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#living = this.#live();
  }

  /** What ended it for good, or has kept it from the group for so long that a person should hear of it. */
  get failure(): CrossfadeError | undefined {
    if (this.#failure || !this.#bad) return this.#failure;
    return performance.now() - this.#bad.sinceMs > this.#parts.timing.outage ? this.#bad.error : undefined;
  }

  /** False while the group may have given the share to others: a frozen process finds out before it delivers anything. */
  get holds(): boolean {
    return !this.#out && performance.now() - this.#aliveAtMs < this.#parts.timing.session;
  }

  /** The group gave this member up, or gave it nothing when it last came together. */
  get over(): boolean {
    return this.#settled && (this.#generation < 0 || this.#share.length === 0);
  }

  /** As last assigned; only good while it `holds`. */
  get share(): readonly PartitionId[] {
    return this.#share;
  }

  /** The whole share, when it is not what was claimed last or may have been another's in between; else undefined. */
  get toClaim(): readonly PartitionId[] | undefined {
    return this.holds && this.#version !== this.#claimedVersion ? this.#share : undefined;
  }

  claim(): void {
    this.#claimedVersion = this.#version;
  }

  /** What was claimed is not to be trusted: it is to be claimed once more. */
  unclaim(): void {
    this.#claimedVersion = -1;
  }

  /** After a claim: whether the share is still what was claimed. */
  get confirmed(): boolean {
    return this.holds && this.#version === this.#claimedVersion;
  }

  /** Advisory: kept until the group takes it, which it does not while it is coming together. */
  async commit(offsets: Offsets): Promise<void> {
    for (const [partition, offset] of offsets) this.#commits.set(partition, offset);
    if (!this.#out) await this.#flush();
  }

  async #live(): Promise<void> {
    let pauseMs = 50;
    while (!this.#left.signal.aborted) {
      try {
        await this.#join();
        pauseMs = 50;
        if (!this.#out) await this.#stay();
      } catch (error) {
        if (this.#left.signal.aborted) return;
        const ours = asCrossfadeError(error);
        this.#suffer(ours);
        if (ours.fault !== 'retry') return;
        this.#parts.logger.debug({ err: ours, group: this.#parts.group }, 'joining the group failed, trying again');
        await this.#sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      }
    }
  }

  #suffer(error: CrossfadeError): void {
    if (error.fault !== 'retry') this.#failure = error;
    this.#bad = { sinceMs: this.#bad?.sinceMs ?? performance.now(), error };
    this.#parts.changed();
  }

  async #join(): Promise<void> {
    const joined = await this.#askToJoin();
    if (!joined) return;
    // From here on others may hear of their share before we do of ours.
    this.#out = true;
    this.#parts.changed();
    const { group, timing } = this.#parts;
    const place = { group, generation: joined.generation, memberId: this.#memberId };
    const shares = joined.leaderId === this.#memberId ? shareOut(joined) : new Map<string, Uint8Array>();
    const sentAtMs = performance.now();
    const { errorCode, assignment } = await this.#send(syncGroupRequest(place, shares), timing.session + 5000);
    if (this.#rejoins(errorCode)) return;
    if (errorCode !== 0) throw this.#error(errorCode, 'SyncGroup');
    const share = decodeAssignment(assignment);
    const continued = this.#generation >= 0;
    if (!continued || !sameSet(share, this.#share)) this.#version += 1;
    this.#share = share;
    this.#generation = joined.generation;
    this.#settled = true;
    this.#aliveAtMs = sentAtMs;
    this.#out = false;
    this.#bad = undefined;
    this.#parts.logger.debug({ group, generation: joined.generation, partitions: share.length }, 'joined the group');
    this.#parts.changed();
  }

  async #askToJoin(): Promise<JoinAnswer | undefined> {
    const { group, timing, partitions } = this.#parts;
    const owned = this.#generation >= 0 ? this.#share : [];
    const metadata = encodeSubscription({ partitions, owned, generation: this.#generation });
    for (;;) {
      const options = { group, memberId: this.#memberId, sessionMs: timing.session, rebalanceMs: timing.session, protocol, metadata };
      // The group waits for all its members as long as a session lasts, and the first of an empty one for a moment more.
      const answer = await this.#send(joinGroupRequest(options), 3 * timing.session + 5000);
      const { errorCode, memberId } = answer;
      if (errorCode === 0) {
        this.#memberId = memberId;
        return answer;
      }
      if (errorCode === memberIdRequired) this.#memberId = memberId;
      else if (this.#rejoins(errorCode)) return undefined;
      else throw this.#error(errorCode, 'JoinGroup');
    }
  }

  /** Shows signs of life until the group comes together anew, or has given us up. */
  async #stay(): Promise<void> {
    const { timing, group } = this.#parts;
    while (!this.#left.signal.aborted) {
      await this.#sleep(timing.heartbeat);
      const sentAtMs = performance.now();
      try {
        const place = { group, generation: this.#generation, memberId: this.#memberId };
        const code = await this.#send(heartbeatRequest(place), timing.session / 2);
        if (this.#rejoins(code)) return;
        if (code !== 0) throw this.#error(code, 'Heartbeat');
      } catch (error) {
        if (this.#left.signal.aborted) return;
        const ours = asCrossfadeError(error);
        // Nobody answers: that is no news of the group. Whether we still belong to it is said when somebody does.
        if (ours.fault !== 'retry') throw ours;
        this.#suffer(ours);
        continue;
      }
      this.#bad = undefined;
      const woke = !this.holds;
      this.#aliveAtMs = sentAtMs;
      if (woke) this.#parts.changed();
      if (this.#commits.size > 0) await this.#flush();
    }
  }

  /** Whether this code means to join again; who is unknown by now, or of an older generation, has lost his share with it. */
  #rejoins(code: number): boolean {
    if (code === rebalancing) return true;
    if (code !== unknownMember && code !== illegalGeneration) return false;
    if (this.#generation >= 0)
      this.#parts.logger.warn({ group: this.#parts.group }, 'this member was silent too long and lost its partitions, joining anew');
    if (code === unknownMember) this.#memberId = '';
    this.#generation = -1;
    this.#out = true;
    this.#commits.clear();
    this.#parts.changed();
    return true;
  }

  async #flush(): Promise<void> {
    const { cluster, group, logger } = this.#parts;
    const mine = new Set(this.#share);
    for (const partition of this.#commits.keys()) if (!mine.has(partition)) this.#commits.delete(partition);
    const taken = [...this.#commits];
    if (taken.length === 0) return;
    const place = { group, generation: this.#generation, memberId: this.#memberId };
    try {
      const request = offsetCommitRequest(place, groupOffsets(new Map(taken)));
      const code = await cluster.send({ coordinator: 'group', key: group }, request, { signal: this.#left.signal, deadlineMs: 5000 });
      if (code !== 0) return;
      for (const [partition, offset] of taken) if (this.#commits.get(partition) === offset) this.#commits.delete(partition);
    } catch (error) {
      logger.debug({ err: error, group }, 'how far this group is could not be noted, it is tried again');
    }
  }

  #send<T>(request: KafkaRequest<T>, deadlineMs: number): Promise<T> {
    const { cluster, group } = this.#parts;
    return cluster.send({ coordinator: 'group', key: group }, request, { lane: this.#lane, deadlineMs, signal: this.#left.signal });
  }

  #error(code: number, apiName: string): CrossfadeError {
    const { cluster, group } = this.#parts;
    cluster.forget({ coordinator: 'group', key: group });
    if (code === inconsistentProtocol) return foreignGroup(group);
    if (code === invalidSession) return sessionRefused(group, this.#parts.timing.session);
    return codeError(code, apiName, `group ${group}`);
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#left.signal }).catch(() => undefined);
  }

  /** Says goodbye, so that the others need not wait until the session has run out. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left.signal.aborted) return this.#living;
    this.#out = true;
    this.#left.abort();
    const { cluster, group, logger } = this.#parts;
    if (this.#memberId !== '') {
      // Over another connection: behind a join that waits it would wait too.
      const goodbye = cluster.send({ coordinator: 'group', key: group }, leaveGroupRequest(group, [this.#memberId]), { deadlineMs: 2000 });
      await goodbye.catch((error: unknown) => logger.debug({ err: error }, 'leaving the group failed, it will expire'));
    }
    cluster.release(this.#lane);
    await this.#living;
  }
}

function shareOut({ members }: JoinAnswer): Map<string, Uint8Array> {
  const shares = assignSticky(members.map(({ memberId, metadata }) => decodeSubscription(memberId, metadata)));
  return new Map([...shares].map(([memberId, partitions]) => [memberId, encodeAssignment(partitions)]));
}

function sameSet(a: readonly PartitionId[], b: readonly PartitionId[]): boolean {
  const known = new Set(b);
  return a.length === b.length && a.every((each) => known.has(each));
}
