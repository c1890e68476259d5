/** The leader's hand on the thread that appends: requests go there in order, and are answered in order. */
import { Worker } from 'node:worker_threads';
import { asCrossfadeError, CrossfadeError } from '../../src/core/errors.ts';
import { logClosed, writerBroken } from '../../src/core/log-errors.ts';
import type { RecordBatchBuilder } from '../../src/core/record-batch.ts';
import type { AppendTask, FromThread, Request, ToThread } from './append-service.ts';

interface Asked {
  /** Their memory is in the thread until it answers. */
  readonly builders: readonly RecordBatchBuilder[];
  readonly resolve: (deleted: number | undefined) => void;
  readonly reject: (error: CrossfadeError) => void;
}

/** What is under way may wait for another process's lock, or for a slow disk. */
const closeMs = 15_000;
/** Its objects are few: what is large lies outside the heap. */
const heapMb = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

export class AppendThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  /** Oldest first. */
  readonly #asked: Asked[] = [];
  #failure: CrossfadeError | undefined;
  #closed = false;

  private constructor(entry: URL, task: AppendTask) {
    // It is rejected with every failure, also when nobody waits for it any more.
    this.#ready.promise.catch(() => undefined);
    this.#worker = new Worker(entry, { name: 'append', workerData: task, resourceLimits: heapMb });
    this.#worker.on('message', (message: FromThread) => this.#answered(message));
    this.#worker.on('error', (thrown) => this.#fail(asCrossfadeError(thrown)));
    this.#worker.on('exit', (code) => {
      this.#fail(this.#closed ? logClosed() : asCrossfadeError(new Error(`the thread that appends ended by itself with ${code}`)));
      this.#exited.resolve();
    });
  }

  /** Resolves when it can write. `entry`: a file that hands `serveAppends` its port and a codec. */
  static async start(entry: URL, task: AppendTask): Promise<AppendThread> {
    const thread = new AppendThread(entry, task);
    try {
      await thread.#ready.promise;
    } catch (error) {
      await thread.#exited.promise;
      throw error;
    }
    // Only what is under way keeps the process alive.
    thread.#worker.unref();
    return thread;
  }

  /** Resolves when it is durable. The memory of these builders goes to the thread, and is back by then. */
  ask(request: Request, builders: readonly RecordBatchBuilder[] = [], memories: readonly ArrayBuffer[] = []): Promise<number | undefined> {
    if (this.#closed) return Promise.reject(logClosed());
    if (this.#failure) return Promise.reject(writerBroken(this.#failure));
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    if (this.#asked.length === 0) this.#worker.ref();
    this.#asked.push({ builders, resolve, reject });
    this.#worker.postMessage(request satisfies ToThread, memories);
    return promise;
  }

  /** Nothing that is asked from here on is done. */
  refuse(error: CrossfadeError): void {
    this.#failure ??= error;
  }

  #answered(message: FromThread): void {
    if (message.kind === 'ready') return this.#ready.resolve();
    if (message.kind === 'failed') return this.#fail(new CrossfadeError(message.error));
    let memory = 0;
    for (const { builders, resolve } of this.#asked.splice(0, message.requests)) {
      for (const builder of builders) {
        const back = message.memories[memory++];
        if (back) builder.takeBack(back);
      }
      resolve(message.deleted);
    }
    if (this.#asked.length === 0 && !this.#closed) this.#worker.unref();
  }

  /** The oldest failed for this reason, and all behind it because of it. */
  #fail(error: CrossfadeError): void {
    this.#failure ??= error;
    this.#ready.reject(error);
    const [first, ...others] = this.#asked.splice(0);
    first?.reject(error);
    for (const { reject } of others) reject(writerBroken(error));
    if (!this.#closed) this.#worker.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return this.#exited.promise;
    this.#closed = true;
    this.#worker.ref();
    this.#worker.postMessage({ kind: 'close' } satisfies ToThread);
    const deadline = setTimeout(() => void this.#worker.terminate(), closeMs);
    await this.#exited.promise;
    clearTimeout(deadline);
  }
}
