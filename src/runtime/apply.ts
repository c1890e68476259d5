/** Log → transforms → sink, for one service. One session: claim, resume, stream; everything else is the loop's. */
import { invariant } from '../core/assert.ts';
import type { Version } from '../core/change.ts';
import { asCrossfadeError } from '../core/errors.ts';
import { faultPoint } from '../core/fault-point.ts';
import type { Delivery, Log, LogRecord, PartitionId, ReadPlace, ReadPlaces } from '../core/log-port.ts';
import { Pauses } from '../core/pauses.ts';
import type { Logger } from '../core/ports.ts';
import type { Sink, SinkBatch, WriteOutcome } from '../core/sink-port.ts';
import { Batches, type BatchParts } from './apply-batch.ts';
import { ApplyHeld } from './apply-held.ts';
import { knockEveryMs, knockUntil } from './apply-knock.ts';
import { ApplyLag } from './apply-lag.ts';
import { ApplyProgress, type ProgressParts } from './apply-progress.ts';
import { ApplyWaits } from './apply-waits.ts';
import { claimPartitions, trusted } from './claim.ts';
import type { ClaimNews } from './claim-news.ts';
import { type Run, sleepUnlessAborted } from './loop.ts';
import { staysOpen } from './shape-runs.ts';

export interface ApplyParts extends BatchParts, ProgressParts {
  readonly logger: Logger;
  /** For a session that ends by this signal. */
  readonly openLog: (stop: AbortSignal) => Promise<Log>;
  readonly openSink: (stop: AbortSignal) => Promise<Sink>;
  /** Without it every claim is said. */
  readonly claims?: ClaimNews;
}

export async function applySession(parts: ApplyParts, run: Run): Promise<void> {
  await using log = await parts.openLog(run.signal);
  await using sink = await parts.openSink(run.signal);
  const over = new AbortController();
  const session = new ApplySession(parts, run, log, sink);
  const claim = (partitions: readonly PartitionId[]) => session.claim(partitions);
  const read = log.read(parts.service, claim, AbortSignal.any([run.signal, over.signal]), session.pauses);
  const deliveries = read[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = deliveries.next();
      await session.writtenOr(next);
      await knockUntil(next, session, parts.sleep ?? sleepUnlessAborted);
      const { done, value } = await next;
      if (done === true) break;
      faultPoint('apply:read');
      await session.take(value);
      if (run.signal.aborted) break;
    }
    await session.written();
  } finally {
    // A read that is still under way ends only by its signal.
    over.abort(sessionOver);
    await deliveries.return?.();
    // Of two failures the first is told.
    await session.written().catch(() => undefined);
  }
  await session.report();
}

/** Made once: an abort without a reason makes an error with its stack each time. */
const sessionOver = new Error('the session is over');

/** Delivered and not all handed to the sink: it waits at a barrier, or is being written. */
interface InHand {
  readonly runs: LogRecord[][];
  nextOffset: number;
}

class ApplySession {
  readonly pauses = new Pauses();
  readonly #parts: ApplyParts;
  readonly #run: Run;
  readonly #log: Log;
  readonly #sink: Sink;
  readonly #progress: ApplyProgress;
  readonly #now: () => number;
  readonly #batches: Batches;
  readonly #lag: ApplyLag;
  readonly #waits: ApplyWaits;
  readonly #held: ApplyHeld;
  readonly #skipThrough = new Map<PartitionId, Version>();
  readonly #logIds = new Map<PartitionId, string>();
  /** The last version delivered of each partition. */
  readonly #last = new Map<PartitionId, Version>();
  readonly #inHand = new Map<PartitionId, InHand>();
  /** Of those in hand, the ones that stand before a barrier; each is paused, so that it holds two deliveries at most. */
  readonly #waiting = new Set<PartitionId>();
  #knockedAtMs = 0;
  #wake: (() => void) | undefined;
  /** A claim comes while a delivery is waited for or written, and so does a knock: never two at once. */
  #turn: Promise<unknown> = Promise.resolve();
  /** What was handed to the sink last; the next delivery is read and made ready meanwhile. */
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: ApplyParts, run: Run, log: Log, sink: Sink) {
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
      this.#last.set(partition, after ?? '');
      if (skipThrough === undefined) this.#skipThrough.delete(partition);
      else this.#skipThrough.set(partition, skipThrough);
    }
    const skipThrough = Object.fromEntries([...this.#skipThrough].filter(([partition]) => resumes.has(partition)));
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

  /** Makes a delivery ready, waits until the one before is written, and begins to write this one. */
  async take(delivery: Delivery): Promise<void> {
    const { partition } = delivery;
    const records = this.#fresh(delivery);
    await this.#batches.lookUpShapes(partition, records);
    const runs = this.#batches.runs(records);
    this.#prepare(partition, runs);
    await this.#writing;
    this.#writing = this.#inTurn(() => this.#begin(delivery, records, runs));
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

  async #begin(delivery: Delivery, records: readonly LogRecord[], runs: readonly LogRecord[][]): Promise<void> {
    const { partition, nextOffset } = delivery;
    this.#lag.delivered(delivery, records);
    const hand = this.#inHand.get(partition) ?? { runs: [], nextOffset };
    this.#inHand.set(partition, hand);
    hand.runs.push(...runs);
    hand.nextOffset = nextOffset;
    // What came through a barrier may have moved others that wait there.
    const passed = this.#waiting.has(partition) ? false : await this.#goOn(partition, hand);
    if (this.waits && (passed || this.#now() - this.#knockedAtMs >= knockEveryMs)) await this.#knock();
    await this.#held.countInTime();
    await this.#progress.reportInTime();
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

  /** Without what the target has already, where offsets could not be trusted. */
  #fresh({ partition, records }: Delivery): readonly LogRecord[] {
    const through = this.#skipThrough.get(partition);
    const fresh = through === undefined ? records : records.filter(({ version }) => version > through);
    const [first, last] = [fresh[0], fresh.at(-1)];
    if (first === undefined || last === undefined) return fresh;
    this.#skipThrough.delete(partition);
    // The sink compares progress, not rows: a reader that went back would be written as if it were news.
    const before = this.#last.get(partition) ?? '';
    invariant(first.version > before, `the log goes forward in ${partition}: ${first.version} at offset ${first.offset} follows ${before}`);
    this.#last.set(partition, last.version);
    return fresh;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    // The failure belongs to its caller; whoever comes next only waits for the end.
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
