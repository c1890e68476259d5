/**
 * The thread's side of appending: it owns the connection that writes, so that compression, inserts, commits and checkpoints take
 * nothing of the thread that reads the source. What came while a commit was under way is committed together.
 */
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { asCrossfadeError, type ErrorDetails } from '../../src/core/errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Codec } from '../../src/core/record-batch.ts';
import { Appender, type WriteRequest } from './appender.ts';
import { Retention, type RetentionLimits } from './retention.ts';
import { openStore, type StoreOptions } from './store.ts';
import { Wakeup } from './wakeup.ts';

/** What the thread is started with. */
export interface AppendTask {
  readonly store: StoreOptions;
  readonly pipeline: string;
  readonly term: number;
  readonly retention: RetentionLimits;
}

export type Request = WriteRequest | { readonly kind: 'retain'; readonly lowestApplied: ReadonlyMap<PartitionId, number> };
/** `close`: what came before it is done first. */
export type ToThread = Request | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'ready' }
  /** The oldest `requests` are done; `memories` are those of their batches, in order. */
  | { readonly kind: 'done'; readonly requests: number; readonly memories: readonly ArrayBuffer[]; readonly deleted?: number }
  /** The next request failed, or the opening did: nothing behind it is done. An Error's own class does not survive the passage. */
  | { readonly kind: 'failed'; readonly error: ErrorDetails };

/** So many plain bytes are committed together at most: the source goes on when they are acknowledged. */
const commitBytesMax = 2 * 1024 * 1024;

/** Resolves when it was told to close. */
export async function serveAppends(port: MessagePort, task: AppendTask, codec: Codec): Promise<void> {
  const fail = (thrown: unknown) => port.postMessage({ kind: 'failed', error: detailsOf(thrown) } satisfies FromThread);
  try {
    using store = await openStore(task.store, task.pipeline);
    using service = new AppendService(port, new Appender(store, codec, task.term), new Wakeup(store.logId));
    const retention = new Retention(task.retention);
    const retain = (lowestApplied: ReadonlyMap<PartitionId, number>) => retention.step(store, lowestApplied);
    port.postMessage({ kind: 'ready' } satisfies FromThread);
    await service.run(retain, fail);
  } catch (thrown) {
    fail(thrown);
  } finally {
    port.close();
  }
}

class AppendService implements Disposable {
  readonly #port: MessagePort;
  readonly #appender: Appender;
  readonly #wakeup: Wakeup;
  /** After a failure nothing may follow, or the log would have a gap. */
  #failed = false;

  constructor(port: MessagePort, appender: Appender, wakeup: Wakeup) {
    this.#port = port;
    this.#appender = appender;
    this.#wakeup = wakeup;
  }

  run(retain: (lowestApplied: ReadonlyMap<PartitionId, number>) => number, fail: (thrown: unknown) => void): Promise<void> {
    const closed = Promise.withResolvers<void>();
    this.#port.on('message', (first: ToThread) => {
      let next: ToThread | undefined = first;
      while (next) {
        const writes: WriteRequest[] = [];
        next = this.#collect(next, writes);
        try {
          if (!this.#failed && writes.length > 0) this.#write(writes);
          if (!this.#failed && next?.kind === 'retain') this.#done(1, [], retain(next.lowestApplied));
        } catch (thrown) {
          this.#failed = true;
          fail(thrown);
        }
        if (next?.kind === 'close') return closed.resolve();
        next = this.#receive();
      }
    });
    return closed.promise;
  }

  /** Writes that wait go to `writes`; answers what waits behind them and is no write. */
  #collect(first: ToThread, writes: WriteRequest[]): ToThread | undefined {
    let bytes = 0;
    for (let request: ToThread | undefined = first; request; request = bytes < commitBytesMax ? this.#receive() : undefined) {
      if (request.kind === 'close' || request.kind === 'retain') return request;
      writes.push(request);
      if (request.kind === 'append') for (const append of request.appends) bytes += append.bytes;
    }
    return undefined;
  }

  #receive(): ToThread | undefined {
    return receiveMessageOnPort(this.#port)?.message as ToThread | undefined;
  }

  #write(writes: readonly WriteRequest[]): void {
    const { done, failure } = this.#appender.write(writes);
    if (done > 0) {
      this.#wakeup.announce();
      const memories = writes
        .slice(0, done)
        .flatMap((request) => (request.kind === 'append' ? request.appends.map(({ batch }) => batch.memory) : []));
      this.#done(done, memories);
    }
    if (failure !== undefined) throw failure;
  }

  #done(requests: number, memories: readonly ArrayBuffer[], deleted?: number): void {
    this.#port.postMessage(
      { kind: 'done', requests, memories, ...(deleted === undefined ? {} : { deleted }) } satisfies FromThread,
      memories,
    );
  }

  [Symbol.dispose](): void {
    this.#wakeup[Symbol.dispose]();
  }
}

function detailsOf(thrown: unknown): ErrorDetails {
  const { code, fault, message, remedy, scope, cause } = asCrossfadeError(thrown);
  return { code, fault, message, remedy, ...(scope === undefined ? {} : { scope }), ...(cause instanceof Error ? { cause } : {}) };
}
