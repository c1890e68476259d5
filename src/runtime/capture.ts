/** Source → log. One session: lead, read the tail after the fence, resume, stream; everything else is the loop's. */
import type { TableSchema } from '../core/change.ts';
import { CrossfadeError } from '../core/errors.ts';
import { faultPoint } from '../core/fault-point.ts';
import type { Log, Tail, Writer } from '../core/log-port.ts';
import type { Logger } from '../core/ports.ts';
import type { RowChange, Source, SourceBatch } from '../core/source-port.ts';
import { Encoder, type Routing } from './encode.ts';
import type { Run } from './loop.ts';
import type { CaptureMeters } from './meters.ts';
import { TailFilter } from './resume.ts';
import { type PaceClock, realPace, SendPace } from './send-pace.ts';

export interface CaptureParts {
  readonly pipeline: string;
  readonly routing: Routing;
  readonly logger: Logger;
  readonly meters: CaptureMeters;
  readonly openSource: () => Promise<Source>;
  /** For a session that ends by this signal. */
  readonly openLog: (stop: AbortSignal) => Promise<Log>;
  /** Asked before a new log's first record: throws where the log is only new because the old one is gone. */
  readonly beforeNewLog?: (stop: AbortSignal) => Promise<void>;
  readonly now?: () => number;
  /** How often a complete record is written, at least; 1000. */
  readonly completeEveryMs?: number;
  /** Its clock, and the least pause between two small appends; real, and none. */
  readonly pace?: PaceClock;
  readonly restMs?: number;
}

/** So much goes to the log at once, in all partitions, however soon after the last. */
const fullBytes = 1024 * 1024;
/** With so many on their way, a small append waits for an acknowledgement: it would only queue behind them. */
const smallInFlight = ({ restMs }: Writer) => (restMs > 0 ? 1 : 2);

export async function captureSession(parts: CaptureParts, run: Run): Promise<void> {
  await using log = await parts.openLog(run.signal);
  await using writer = await log.lead(run.signal);
  const tail = await writer.tail();
  await using source = await parts.openSource();
  const from = tail.complete?.position ?? tail.start?.position ?? (await begin(parts, source, writer, run.signal));
  using session = new CaptureSession(parts, run, writer, tail);
  let streams = false;
  let taking = false;
  try {
    for await (const batch of source.read(from, run.signal)) {
      faultPoint('capture:read');
      if (!streams) {
        // Said when the source answers, not when we lead: a source that is away would have us say it at every try.
        parts.logger.info({ term: writer.term, from: source.describe(from), new: tail.start === undefined }, 'capture streams');
        run.ready();
        streams = true;
      }
      taking = true;
      await session.take(batch);
      taking = false;
      if (run.signal.aborted) break;
    }
  } catch (thrown) {
    const isTold = !taking && run.signal.aborted && thrown === run.signal.reason;
    // The way past a stop of the source begins behind it: what came before must be in the log. The stop itself is what is told.
    if (!taking && thrown instanceof CrossfadeError && thrown.fault !== 'retry') await session.drain().catch(() => {});
    // A source that waits for the next packet leaves by throwing why: that is the end in good order all the same.
    if (!isTold) throw thrown;
  }
  await session.drain();
}

/** The first act in a log's life: from which position on it holds everything. */
async function begin(parts: CaptureParts, source: Source, writer: Writer, signal: AbortSignal) {
  await parts.beforeNewLog?.(signal);
  const position = await source.start(signal);
  await writer.start({ position, writtenAtMs: (parts.now ?? Date.now)() });
  return position;
}

class CaptureSession implements Disposable {
  readonly #parts: CaptureParts;
  readonly #run: Run;
  readonly #writer: Writer;
  readonly #filter: TailFilter;
  readonly #encoder: Encoder;
  readonly #pace: SendPace;
  readonly #defined = new Set<string>();
  readonly #now: () => number;
  /** Appends that are not durable yet, oldest first; one that failed stays. */
  readonly #outstanding: { readonly done: Promise<void>; readonly bytes: number }[] = [];
  #outstandingBytes = 0;
  /** The first that failed: nothing behind it becomes durable. */
  #failed: Promise<void> | undefined;
  #isOver = false;
  /** Of the source, in what is encoded and not sent. */
  #heldBytes = 0;
  #completedAtMs = 0;
  /** The boundary that the next complete record will name: after everything taken so far. */
  #boundary: SourceBatch | undefined;

  constructor(parts: CaptureParts, run: Run, writer: Writer, tail: Tail) {
    this.#parts = parts;
    this.#run = run;
    this.#writer = writer;
    this.#filter = new TailFilter(tail);
    this.#encoder = new Encoder(parts.pipeline, parts.routing, writer, this.#filter);
    this.#pace = new SendPace(parts.pace ?? realPace, parts.restMs ?? 0, () => this.#send());
    this.#now = parts.now ?? Date.now;
  }

  async take(batch: SourceBatch): Promise<void> {
    await this.#define(batch);
    this.#encoder.add(batch.changes, batch.open, this.#now());
    batch.release?.();
    this.#parts.meters.captured(batch.changes.length, batch.bytes);
    this.#heldBytes += batch.bytes;
    this.#sendIfDue();
    await this.#settle(this.#writer.inFlightBytesMax);
    if (batch.open) {
      // A complete record names every partition's end: with a part of a later transaction behind it, it would lie.
      this.#boundary = undefined;
      return;
    }
    // An empty batch may be traffic that nobody maps, or one that came ahead of the next packet: only the source knows its end.
    if (batch.caughtUp) this.#filter.atEnd();
    this.#boundary = batch;
    if (this.#now() - this.#completedAtMs >= (this.#parts.completeEveryMs ?? 1000)) await this.#complete();
  }

  /** On a stop: what was taken becomes durable, and the next start need not read it again. */
  async drain(): Promise<void> {
    this.#send();
    await this.#settle(0);
    await this.#complete();
  }

  async #define(batch: SourceBatch): Promise<void> {
    let known: TableSchema | undefined;
    // By number: an iterator makes an object for each of millions of rows.
    for (let at = 0; at < batch.changes.length; at += 1) {
      const { schema } = batch.changes[at] as RowChange;
      if (schema === known) continue;
      known = schema;
      if (this.#defined.has(schema.id)) continue;
      await this.#writer.define(schema);
      this.#defined.add(schema.id);
    }
  }

  #sendIfDue(): void {
    if (this.#encoder.bytes === 0 || this.#isOver) return;
    const isSmall = Math.max(this.#heldBytes, this.#encoder.bytes) < fullBytes;
    if (isSmall && (this.#outstanding.length >= smallInFlight(this.#writer) || this.#pace.mustWait())) return;
    this.#send();
  }

  /** Everything that is encoded. */
  #send(): void {
    const bytes = Math.max(this.#heldBytes, this.#encoder.bytes);
    const appends = this.#encoder.take();
    if (appends.length === 0) return;
    this.#heldBytes = 0;
    const startedMs = this.#now();
    const records = appends.reduce((sum, { batch }) => sum + batch.count, 0);
    const done = this.#pace
      .during(() => this.#writer.append(appends))
      .then(() => {
        faultPoint('capture:appended');
        this.#outstanding.shift();
        this.#outstandingBytes -= bytes;
        this.#encoder.recycle(appends);
        this.#parts.meters.appended(records, (this.#now() - startedMs) / 1000);
        this.#run.progressed();
        this.#pace.rest(this.#writer.restMs);
        this.#sendIfDue();
      });
    // Its failure is met when it is awaited below; without this line Node would call it unhandled before.
    done.catch(() => {
      this.#failed ??= done;
    });
    this.#outstanding.push({ done, bytes });
    this.#outstandingBytes += bytes;
  }

  /** Waits until at most `bytesMax` are outstanding; throws what the first that failed says. */
  async #settle(bytesMax: number): Promise<void> {
    while (this.#outstandingBytes > bytesMax || this.#failed) await (this.#failed ?? this.#outstanding[0]?.done);
  }

  /** What waits to be sent is read again by the next session. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#pace[Symbol.dispose]();
  }

  /** Never a guess: everything before is durable, and every partition's tail was met. */
  async #complete(): Promise<void> {
    const boundary = this.#boundary;
    if (boundary === undefined || !this.#filter.allMet) return;
    this.#send();
    await this.#settle(0);
    const writtenAtMs = this.#now();
    const { position, throughUs, clockOffsetUs } = boundary;
    await this.#writer.complete({ position, throughUs, writtenAtMs, ...(clockOffsetUs === undefined ? {} : { clockOffsetUs }) });
    faultPoint('capture:completed');
    this.#boundary = undefined;
    this.#completedAtMs = writtenAtMs;
    this.#parts.meters.completed(throughUs);
    this.#run.progressed();
  }
}
