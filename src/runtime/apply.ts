/** Log → transforms → sink, for one service. One session: claim, resume, stream; everything else is the loop's. */
import { faultPoint } from '../core/fault-point.ts';
import type { Log, PartitionId } from '../core/log-port.ts';
import type { Sink } from '../core/sink-port.ts';
import { knockUntil } from './apply-knock.ts';
import { ApplySession, type SessionParts } from './apply-session.ts';
import { type Run, sleepUnlessAborted } from './loop.ts';

export interface ApplyParts extends SessionParts {
  /** For a session that ends by this signal. */
  readonly openLog: (stop: AbortSignal) => Promise<Log>;
  readonly openSink: (stop: AbortSignal) => Promise<Sink>;
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
