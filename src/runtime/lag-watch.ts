/**
 * How late is each service, at the moment of asking? The log is looked at every second; what this process applies itself
 * it knows better. Between two looks, and when none succeeds any more, lag grows by the clock.
 */
import { asCrossfadeError, CrossfadeError, type ErrorCode } from '../core/errors.ts';
import type { CompleteRecord, Log, PartitionId } from '../core/log-port.ts';
import type { LogState } from '../core/log-state.ts';
import { clockOffsetUs, type Lag, notBefore, secondsSince, visibleThroughUs } from './lag.ts';
import { type Run, sleepUnlessAborted } from './loop.ts';
import type { Totals } from './observe.ts';

interface WatchedPartition {
  readonly partition: PartitionId;
  /** The service's tables that travel in it, as `db.table`. */
  readonly tables: readonly string[];
}
export interface WatchedService {
  readonly name: string;
  readonly partitions: readonly WatchedPartition[];
}

interface PartitionLag extends Lag, WatchedPartition {}
/** `seconds`: of the partition that is worst off; undefined as soon as one is unknown. */
export interface ServiceLag extends Lag {
  readonly service: string;
  readonly partitions: readonly PartitionLag[];
}

export interface LagWatchParts {
  readonly services: readonly WatchedService[];
  /** What the parts of this process tell. */
  readonly totals: Pick<Totals, 'services' | 'states' | 'completedThroughUs'>;
  readonly openLog: (stop: AbortSignal) => Promise<Log>;
  readonly now?: () => number;
  /** Milliseconds of a clock that nobody sets: for all that lasts. `now` where only that one is given. */
  readonly steady?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const lookEveryMs = 1000;
/** Capture in the same process has just written a complete record: no need to wait for the next look. */
const peekEveryMs = 200;
/** A log with thousands of partitions whose services all stand still is asked a part of them each time. */
const asksMax = 256;

/** Less is how clocks differ that nobody has set. */
const clocksApartMs = 1000;

/** What the target says of itself cannot be believed, so that no offset of it can: see `doubt` in `crossfade status`. */
const doubts: ReadonlySet<string> = new Set(['TARGET_PROGRESS_LOST', 'TARGET_PROGRESS_FOREIGN', 'LOG_LOST_HISTORY'] satisfies ErrorCode[]);

interface Known {
  readonly nextOffset: number;
  readonly throughUs: number;
}
interface Next {
  readonly offset: number;
  /** undefined: nothing is there, only offsets without records. */
  readonly committedAtUs: number | undefined;
}

export class LagWatch {
  readonly #parts: LagWatchParts;
  readonly #now: () => number;
  readonly #steady: () => number;
  readonly #known = new Map<string, Known>();
  #next = new Map<string, Next>();
  #asked = 0;
  #log: LogState | undefined;
  #lookedAtMs: number | undefined;
  /** When the complete record that holds was first seen, by both clocks. */
  #seen: { readonly complete: CompleteRecord | undefined; readonly atMs: number; readonly steadyMs: number } | undefined;

  constructor(parts: LagWatchParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.#steady = parts.steady ?? parts.now ?? (() => performance.now());
  }

  /** As it was at the last look that succeeded. */
  get log(): LogState | undefined {
    return this.#log;
  }
  /** When the last look that succeeded began, by the steady clock. */
  get lookedAtMs(): number | undefined {
    return this.#lookedAtMs;
  }
  get clockOffsetSeconds(): number | undefined {
    const complete = this.#log?.complete;
    return complete && clockOffsetUs(complete) / 1e6;
  }
  /** Age of the instant up to which the log is complete. */
  completeAgeSeconds(nowMs: number): number | undefined {
    return secondsSince(this.#log?.complete?.throughUs, this.#log?.complete, this.#unset(nowMs));
  }

  /** For `runLoop`; whatever goes wrong is tried again, since those who need the log say what is wrong with it. */
  async session(run: Run): Promise<void> {
    const sleep = this.#parts.sleep ?? sleepUnlessAborted;
    try {
      await using log = await this.#parts.openLog(run.signal);
      run.ready();
      while (!run.signal.aborted) {
        const { completedThroughUs } = this.#parts.totals;
        const startedMs = this.#steady();
        await this.look(log);
        run.progressed();
        do await sleep(peekEveryMs, run.signal);
        while (
          !run.signal.aborted &&
          this.#steady() - startedMs < lookEveryMs &&
          completedThroughUs === this.#parts.totals.completedThroughUs
        );
      }
    } catch (thrown) {
      const { code, message, remedy, cause } = asCrossfadeError(thrown);
      throw new CrossfadeError({ code, fault: 'retry', message, remedy, cause });
    }
  }

  async look(log: Pick<Log, 'state' | 'at'>): Promise<void> {
    const [startedMs, steadyMs] = [this.#now(), this.#steady()];
    const state = await log.state();
    const next = await this.#ask(log, state);
    this.#see(state.complete, startedMs, steadyMs);
    this.#log = state;
    this.#next = next;
    this.#lookedAtMs = steadyMs;
    // Remembers what holds now: a complete record that is overtaken before the next question would be forgotten.
    this.lags(startedMs);
  }

  #see(complete: CompleteRecord | undefined, nowMs: number, steadyMs: number): void {
    const before = this.#seen;
    const isNew = before?.complete?.throughUs !== complete?.throughUs || before?.complete?.writtenAtMs !== complete?.writtenAtMs;
    if (before !== undefined && !isNew) return;
    this.#seen = { complete, atMs: notBefore(complete, nowMs), steadyMs };
  }

  /**
   * Now, whatever the clock was set to since the complete record was seen: a clock that is set back would hide how old that is.
   * One that is set forward, or stood still with the machine, is believed: it may be right.
   */
  #unset(nowMs: number): number {
    if (this.#seen === undefined) return nowMs;
    const carriedMs = this.#seen.atMs + this.#steady() - this.#seen.steadyMs;
    return carriedMs - nowMs > clocksApartMs ? carriedMs : nowMs;
  }

  lags(now: number): readonly ServiceLag[] {
    const nowMs = this.#unset(now);
    return this.#parts.services.map(({ name, partitions }) => {
      const lags = partitions.map((each) => ({ ...each, ...this.#lag(name, each.partition, nowMs) }));
      const seconds = lags.flatMap((lag) => lag.seconds ?? []);
      return {
        service: name,
        seconds: seconds.length === lags.length ? Math.max(0, ...seconds) : undefined,
        changes: lags.reduce((sum, { changes }) => sum + changes, 0),
        partitions: lags,
      };
    });
  }

  #lag(service: string, partition: PartitionId, nowMs: number): Lag {
    const log = this.#log;
    if (log === undefined) return { seconds: undefined, changes: 0 };
    const { nextOffset, standing } = this.#place(service, partition, log);
    const key = `${service} ${partition}`;
    const asked = this.#next.get(key);
    const next = asked?.offset === nextOffset ? asked : undefined;
    const known = this.#known.get(key);
    const throughUs = visibleThroughUs({
      partition,
      log,
      nextOffset,
      nextCommittedAtUs: standing && standing.changes > 0 && standing.sinceUs > 0 ? standing.sinceUs : next?.committedAtUs,
      // A target that was set back has lost what it had.
      knownUs: known && nextOffset >= known.nextOffset ? known.throughUs : undefined,
      nowMs,
    });
    if (throughUs === undefined) this.#known.delete(key);
    else this.#known.set(key, { nextOffset, throughUs });
    const endOffset = Math.max(log.partitions.get(partition)?.endOffset ?? 0, nextOffset + (standing?.changes ?? 0));
    const inDoubt = doubts.has(log.troubles.get(`apply ${service}`)?.code ?? '');
    const nothingThere = next !== undefined && next.committedAtUs === undefined;
    const seconds = inDoubt ? undefined : secondsSince(throughUs, log.complete, nowMs);
    return { seconds, changes: nothingThere ? 0 : Math.max(0, endOffset - nextOffset) };
  }

  /** Where the target stands: as our own apply knows, else as the log was told, which is less by a second at most. */
  #place(service: string, partition: PartitionId, log: LogState) {
    const { services, states } = this.#parts.totals;
    const own = services[service]?.nextOffsets[partition];
    const told = log.groups.get(service)?.get(partition);
    const runs = states[`apply ${service}`]?.state === 'running';
    // Another worker may go on where ours has lost its target.
    if (own !== undefined && (runs || told === undefined || own >= told))
      return { nextOffset: own, standing: services[service]?.lag[partition] };
    return { nextOffset: told ?? log.partitions.get(partition)?.startOffset ?? 0, standing: undefined };
  }

  /** What comes next where nobody here knows it. One answer serves as long as nothing moves. */
  async #ask(log: Pick<Log, 'at'>, state: LogState): Promise<Map<string, Next>> {
    const next = new Map<string, Next>();
    const open: [string, PartitionId, number][] = [];
    for (const { name, partitions } of this.#parts.services)
      for (const { partition } of partitions) {
        const { nextOffset, standing } = this.#place(name, partition, state);
        const key = `${name} ${partition}`;
        const before = this.#next.get(key);
        if (before?.offset === nextOffset && before.committedAtUs !== undefined) next.set(key, before);
        else if (!(standing && standing.sinceUs > 0) && nextOffset < (state.partitions.get(partition)?.endOffset ?? 0))
          open.push([key, partition, nextOffset]);
      }
    const from = this.#asked % Math.max(1, open.length);
    const turn = [...open.slice(from), ...open.slice(0, from)].slice(0, asksMax);
    this.#asked += turn.length;
    for (const [key, partition, offset] of turn) {
      try {
        next.set(key, { offset, committedAtUs: (await log.at(partition, offset))?.committedAtUs });
      } catch {
        // Deleted in between, or unreadable: what was known before still holds, and the lag grows by the clock.
      }
    }
    return next;
  }
}
