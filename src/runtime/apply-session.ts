/** What a session of a service does with each delivery: made ready, handed to the sink in order, and reported. */
import { invariant } from '../core/assert.ts';
import { asCrossfadeError } from '../core/errors.ts';
import { faultPoint } from '../core/fault-point.ts';
import type { Delivery, Log, LogRecord, PartitionId, ReadPlace, ReadPlaces } from '../core/log-port.ts';
import { Pauses } from '../core/pauses.ts';
import type { Logger } from '../core/ports.ts';
import type { Sink, SinkBatch, WriteOutcome } from '../core/sink-port.ts';
import { Batches, type BatchParts } from './apply-batch.ts';
import { ApplyHeld } from './apply-held.ts';
import { knockEveryMs } from './apply-knock.ts';
import { ApplyLag } from './apply-lag.ts';
import { ApplyProgress, type ProgressParts } from './apply-progress.ts';
import { ApplyWaits } from './apply-waits.ts';
import { claimPartitions, trusted } from './claim.ts';
import type { ClaimNews } from './claim-news.ts';
import { Collected, isHuge, type Ready } from './collected.ts';
import { Fresh } from './fresh.ts';
import type { Run } from './loop.ts';
import { plainRun, staysOpen } from './shape-runs.ts';

export interface SessionParts extends BatchParts, ProgressParts {
  readonly logger: Logger;
  /** Without it every claim is said. */
  readonly claims?: ClaimNews;
}

/** Delivered and not all handed to the sink: it waits at a barrier, or is being written. */
interface InHand {
  readonly runs: LogRecord[][];
  nextOffset: number;
}

export class ApplySession {
  readonly pauses = new Pauses();
  readonly #parts: SessionParts;
  readonly #run: Run;
  readonly #log: Log;
  readonly #sink: Sink;
  readonly #progress: ApplyProgress;
  readonly #now: () => number;
  readonly #batches: Batches;
  readonly #lag: ApplyLag;
  readonly #waits: ApplyWaits;
  readonly #held: ApplyHeld;
  readonly #logIds = new Map<PartitionId, string>();
  readonly #fresh = new Fresh();
  readonly #inHand = new Map<PartitionId, InHand>();
  /** Of those in hand, the ones that stand before a barrier; each is paused, so that it holds two deliveries at most. */
  readonly #waiting = new Set<PartitionId>();
  #knockedAtMs = 0;
  #wake: (() => void) | undefined;
  /** A claim comes while a delivery is waited for or written, and so does a knock: never two at once. */
  #turn: Promise<unknown> = Promise.resolve();
  /** What is being handed to the sink; deliveries are read and made ready meanwhile. */
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  readonly #collected = new Collected();

  constructor(parts: SessionParts, run: Run, log: Log, sink: Sink) {
    this.#parts = parts;
    this.#run = run;
    this.#log = log;
    this.#sink = sink;
    this.#now = parts.now ?? Date.now;
    this.#batches = new Batches(parts, log);
    this.#lag = new ApplyLag(parts.meters);
    this.#waits = new ApplyWaits(parts.service, log, this.#now);
    this.#held = new ApplyHeld(log, sink, parts.meters, this.#now);
    this.#progress = new ApplyProgress(parts, log, this.#lag, run);
  }

  report(): Promise<void> {
    return this.#progress.report();
  }

  get waits(): boolean {
    return this.#waiting.size > 0 || this.#held.waits;
  }

  woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  claim(partitions: readonly PartitionId[]): Promise<ReadPlaces> {
    return this.#inTurn(() => this.#claim(partitions));
  }

  async #claim(partitions: readonly PartitionId[]): Promise<ReadPlaces> {
    const { service, mappingHash, logger, claims } = this.#parts;
    this.#progress.claimed(partitions);
    // All is read again.
    this.#inHand.clear();
    for (const partition of this.#waiting) this.pauses.resume(partition);
    this.#waiting.clear();
    this.#lag.clear();
    for (const partition of this.#logIds.keys()) if (!partitions.includes(partition)) this.#lag.gone(partition);
    const resumes = await claimPartitions({ service, mappingHash, log: this.#log, sink: this.#sink }, partitions);
    await this.#waits.claimed(partitions);
    const places = new Map<PartitionId, ReadPlace>();
    for (const [partition, { logId, offset, term, skipThrough, after }] of resumes) {
      places.set(partition, { offset, term });
      this.#logIds.set(partition, logId);
      this.#lag.claimed(partition, offset);
      this.#fresh.claimed(partition, after, skipThrough);
    }
    const skipThrough = Object.fromEntries([...this.#fresh.skips].filter(([partition]) => resumes.has(partition)));
    if (Object.keys(skipThrough).length > 0) {
      logger.warn({ service, skipThrough }, 'the log is not the one that was applied: skipping what the target has, by version');
    }
    await this.#progress.resumed(trusted(resumes));
    faultPoint('apply:claimed');
    this.#run.ready();
    const said = places.size > 0 ? 'partitions claimed' : 'every partition has another worker, standing by';
    const level = claims === undefined || claims.isNews(places.keys()) ? 'info' : 'debug';
    logger[level]({ service, partitions: places.size }, said);
    if (this.waits) this.#wake?.();
    return places;
  }

  /**
   * Makes a delivery ready. It is written at once where nothing else is; behind what is being written small ones of several
   * partitions collect, and go together: a transaction costs the target and us more than the few rows in it.
   */
  async take(delivery: Delivery): Promise<void> {
    const { partition } = delivery;
    const records = this.#fresh.of(delivery);
    await this.#batches.lookUpShapes(partition, records);
    const runs = this.#batches.runs(records);
    const ready = { delivery, records, runs };
    // What is huge is spelled only when the one before it is gone from memory.
    if (isHuge(records)) await this.#writing;
    else this.#prepare(partition, runs);
    while (this.#isWriting && !this.#collected.mayJoin(ready)) await this.#writing;
    // Nothing is written behind what failed.
    if (!this.#isWriting) await this.#writing;
    this.#collected.add(ready);
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#writing = this.#inTurn(() => this.#writeCollected());
    // Its failure is met by whoever waits for it next.
    this.#writing.catch(() => undefined);
  }

  /** Throws what the last write failed with. */
  written(): Promise<void> {
    return this.#writing;
  }

  /** Until the last write has ended, at most until `next` has. */
  async writtenOr(next: Promise<unknown>): Promise<void> {
    await Promise.race([next, this.#writing]);
  }

  #prepare(partition: PartitionId, runs: readonly LogRecord[][]): void {
    try {
      for (const run of runs) this.#sink.prepare?.(this.#batches.entriesOf(partition, run));
    } catch {
      // What comes before it is to be written first: it will be met again in its turn.
    }
  }

  async #writeCollected(): Promise<void> {
    try {
      for (let all = this.#collected.take(); all.length > 0; all = this.#collected.take()) await this.#writeAll(all);
    } finally {
      // At once behind the last look: what is collected from now on begins anew.
      this.#isWriting = false;
    }
  }

  async #writeAll(all: readonly Ready[]): Promise<void> {
    for (const { delivery, records } of all) this.#lag.delivered(delivery, records);
    let passed = false;
    if (!(await this.#writeTogether(all))) for (const one of all) if (await this.#begin(one)) passed = true;
    if (this.waits && (passed || this.#now() - this.#knockedAtMs >= knockEveryMs)) await this.#knock();
    await this.#held.countInTime();
    await this.#progress.reportInTime();
  }

  /** False where they are to be written one by one: nothing was written then. */
  async #writeTogether(all: readonly Ready[]): Promise<boolean> {
    if (all.length < 2 || !this.#sink.writeTogether) return false;
    const batches: SinkBatch[] = [];
    for (const { delivery, runs } of all) {
      const { partition, nextOffset } = delivery;
      const run = plainRun(runs);
      if (run === undefined || this.#inHand.has(partition)) return false;
      batches.push({ ...this.#batches.of(partition, this.#logIds.get(partition) ?? '', run, nextOffset), open: false });
    }
    const startedMs = this.#now();
    const outcome = await this.#sink.writeTogether(batches).catch((thrown: unknown) => {
      throw asCrossfadeError(thrown).of(all[0]?.delivery.partition ?? '');
    });
    if (outcome === 'apart') return false;
    faultPoint('apply:written');
    const ms = this.#now() - startedMs;
    for (const [index, batch] of batches.entries()) this.#progress.answered(batch, outcome, all[index]?.records.length ?? 0, ms, () => []);
    return true;
  }

  /** Answers whether it came through a barrier, and may have moved others that wait there. */
  async #begin({ delivery: { partition, nextOffset }, runs }: Ready): Promise<boolean> {
    const hand = this.#inHand.get(partition) ?? { runs: [], nextOffset };
    this.#inHand.set(partition, hand);
    hand.runs.push(...runs);
    hand.nextOffset = nextOffset;
    return this.#waiting.has(partition) ? false : this.#goOn(partition, hand);
  }

  /** Asks for every partition that waits whether it may go on. */
  async knock(): Promise<void> {
    await this.#inTurn(() => this.#knock());
    await this.#progress.reportInTime();
  }

  async #knock(): Promise<void> {
    let passed = true;
    while (passed) {
      passed = false;
      const waiting = [...this.#waiting];
      for (const partition of waiting) {
        const hand = this.#inHand.get(partition);
        invariant(hand !== undefined, 'who waits has something in hand');
        if (await this.#goOn(partition, hand)) passed = true;
      }
    }
    await this.#held.tend();
    this.#knockedAtMs = this.#now();
    await this.#waits.tellInTime();
  }

  /** Writes what is in hand, up to a barrier that others have not reached. True when it came through one. */
  async #goOn(partition: PartitionId, hand: InHand): Promise<boolean> {
    let passed = false;
    for (let run = hand.runs.shift(); run !== undefined; run = hand.runs.shift()) {
      const [next] = hand.runs;
      const batch = this.#batches.of(partition, this.#logIds.get(partition) ?? '', run, next?.[0]?.offset ?? hand.nextOffset);
      const outcome = await this.#write({ ...batch, open: staysOpen(run, next) }, run.length);
      if (outcome === 'waiting') {
        hand.runs.unshift(run);
        this.#wait(partition, batch);
        return passed;
      }
      if (batch.barrier === undefined) continue;
      passed = true;
      if (!this.#waiting.delete(partition)) continue;
      this.#say(batch, 'a partition goes on behind a TRUNCATE');
      await this.#waits.end(partition);
    }
    this.#inHand.delete(partition);
    this.pauses.resume(partition);
    return passed;
  }

  #wait(partition: PartitionId, batch: SinkBatch): void {
    if (this.#waiting.has(partition)) return;
    this.#waiting.add(partition);
    this.pauses.pause(partition);
    this.#waits.begin(partition);
    this.#say(batch, 'a partition waits at a TRUNCATE for the others of its stream');
  }

  #say({ partition, progress }: SinkBatch, message: string): void {
    const { transactionId, version } = progress;
    this.#parts.logger.info({ service: this.#parts.service, partition, transactionId, version }, message);
  }

  async #write(batch: SinkBatch, records: number): Promise<WriteOutcome> {
    const startedMs = this.#now();
    const outcome = await this.#sink.write(batch).catch((thrown: unknown) => {
      // Progress in other partitions must not make the loop believe that this one recovered.
      throw asCrossfadeError(thrown).of(batch.partition);
    });
    faultPoint('apply:written');
    if (outcome !== 'waiting') {
      const restOf = (partition: PartitionId) => this.#inHand.get(partition)?.runs[0] ?? [];
      this.#progress.answered(batch, outcome, records, this.#now() - startedMs, restOf);
    }
    return outcome;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    // The failure belongs to its caller; whoever comes next only waits for the end.
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
