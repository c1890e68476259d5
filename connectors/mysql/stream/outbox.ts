/**
 * Between the server that pushes and the consumer that pulls: whole transactions in order, bounded in bytes. What waits
 * beyond the high mark pauses the replication socket, what falls below the low mark lets it go on.
 */
import type { Position } from '../../../src/core/change.ts';
import type { RowChange, SourceBatch } from '../../../src/core/source-port.ts';
import { freeImages } from '../values/row-out.ts';

const cutBytes = 512 * 1024;
export const highBytes = 4 * 1024 * 1024;
const lowBytes = 1024 * 1024;
/** Smaller rows lie with others in chunks of memory that are not given back one by one. */
const largeBytes = 16 * 1024;
const isLarge = (image: Uint8Array | null): boolean => image !== null && image.length >= largeBytes;
/** So often at most does progress without changes of ours go out while the source is busy. */
const idleProgressMs = 250;
export interface Progress {
  readonly position: () => Position;
  readonly throughUs: () => number;
  /** The server's clock minus ours. */
  readonly clockOffsetUs: number;
  readonly caughtUp: () => boolean;
}

export interface Valve {
  pause(): void;
  resume(): void;
}

/** What the reader knows of it. */
export type Outlet = Pick<Outbox, 'open' | 'commit' | 'part' | 'beat' | 'room' | 'full' | 'paused'>;

export class Outbox {
  readonly #progress: Progress;
  readonly #valve: Valve;
  #batches: SourceBatch[] = [];
  #queuedBytes = 0;
  #pending: RowChange[] = [];
  #pendingBytes = 0;
  /** One of them at least is so large that its memory should not wait for a collection of garbage. */
  #pendingLarge = false;
  /** There is a new position to tell, with or without changes. */
  #news = false;
  #paused = false;
  /** Nothing goes out before the server's history is proven to be the one that we know. */
  #open = false;
  #failure: { readonly reason: unknown; readonly last: boolean } | undefined;
  #wake: (() => void) | undefined;
  #handedAtMs = 0;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(progress: Progress, valve: Valve) {
    this.#progress = progress;
    this.#valve = valve;
  }

  get bytes(): number {
    return this.#queuedBytes + this.#pendingBytes;
  }
  get paused(): boolean {
    return this.#paused;
  }
  get full(): boolean {
    return this.bytes >= highBytes;
  }

  /** History is proven: the first batch, empty, tells the position that holds from here. */
  open(): void {
    if (this.#open) return;
    this.#open = true;
    this.beat();
  }

  /** A whole transaction (or the rest of one) is done, and the position is behind it. */
  commit(changes: readonly RowChange[], bytes: number): void {
    if (changes.length === 0) {
      this.#news ||= performance.now() - this.#handedAtMs >= idleProgressMs;
      if (this.#news) this.#notify();
      return;
    }
    this.#add(changes, bytes);
    if (this.#pendingBytes >= cutBytes) this.#cut(false);
    this.#notify();
  }

  /** A transaction that is too large to wait for: what there is of it goes ahead. */
  part(changes: readonly RowChange[], bytes: number): void {
    this.#add(changes, bytes);
    this.#cut(true);
    this.#notify();
  }

  beat(): void {
    this.#news = true;
    this.#notify();
  }

  /**
   * Thrown at once: what is still queued is read again by the next session. Or thrown `last`, behind what is queued: where a
   * person has to act, the next session may begin behind the trouble, and what lies before it would be lost.
   */
  fail(reason: unknown, last = false): void {
    if (last && !this.#failure && this.#open && this.#pending.length > 0) this.#cut(false, false);
    this.#failure ??= { reason, last };
    this.#wake?.();
    this.#room?.reject(reason);
    this.#room = undefined;
  }

  /** Undefined: more may come at once. Else a promise that the consumer has taken the most; it fails when the stream does. */
  room(): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure.reason);
    if (!this.#paused) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** The next batch; waits for one. What there is goes at once: the consumer collects, and rows that lie here are garbage that grows old. */
  async next(): Promise<SourceBatch> {
    for (;;) {
      if (this.#failure && !(this.#failure.last && this.#open && this.#batches.length > 0)) throw this.#failure.reason;
      const batch = this.#open ? this.#take() : undefined;
      if (batch) return batch;
      const woken = Promise.withResolvers<void>();
      this.#wake = woken.resolve;
      await woken.promise;
      this.#wake = undefined;
    }
  }

  #take(): SourceBatch | undefined {
    if (this.#batches.length === 0 && (this.#pending.length > 0 || this.#news)) this.#cut(false);
    const batch = this.#batches.shift();
    if (!batch) return undefined;
    this.#queuedBytes -= batch.bytes;
    this.#handedAtMs = performance.now();
    if (this.#paused && this.bytes <= lowBytes) {
      this.#paused = false;
      this.#valve.resume();
      this.#room?.resolve();
      this.#room = undefined;
    }
    return batch;
  }

  #add(changes: readonly RowChange[], bytes: number): void {
    for (const change of changes) this.#pending.push(change);
    if (bytes >= largeBytes) this.#pendingLarge ||= changes.some(({ before, after }) => isLarge(before) || isLarge(after));
    this.#pendingBytes += bytes;
    if (!this.#paused && this.#open && this.full) {
      this.#paused = true;
      this.#valve.pause();
    }
  }

  #cut(open: boolean, mayBeAtEnd = true): void {
    const { position, throughUs, clockOffsetUs, caughtUp } = this.#progress;
    const changes = this.#pending;
    this.#batches.push({
      changes,
      ...(this.#pendingLarge ? { release: () => changes.forEach(({ before, after }) => freeImages([before, after])) } : {}),
      bytes: this.#pendingBytes,
      open,
      position: position(),
      throughUs: throughUs(),
      clockOffsetUs,
      caughtUp: mayBeAtEnd && caughtUp(),
    });
    this.#queuedBytes += this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#pendingLarge = false;
    this.#news = false;
  }

  #notify(): void {
    if (this.#open) this.#wake?.();
  }
}
