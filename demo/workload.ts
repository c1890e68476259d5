import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface WorkloadCounts {
  /** Rows inserted, updated and deleted by transactions whose commit was answered. */
  changes: number;
  transactions: number;
  rollbacks: number;
  reconnects: number;
}

/** A commit whose arrival at the targets is watched for. */
export interface Pulse {
  readonly orderId: number;
  readonly sku: string;
  readonly revision: number;
  /** All changes so far, this transaction's included. */
  readonly changes: number;
  readonly committedAtMs: number;
}

export type ToWorkload =
  | { readonly kind: 'start'; readonly url: string; readonly seed: number; readonly changesPerSecond: number; readonly open: boolean }
  | { readonly kind: 'orphans'; readonly pids: readonly number[] }
  | { readonly kind: 'stop' };
export type FromWorkload =
  | { readonly kind: 'counts' | 'done'; readonly counts: WorkloadCounts }
  | ({ readonly kind: 'pulse' } & Pulse)
  | { readonly kind: 'trouble'; readonly message: string };

export interface WorkloadOptions {
  readonly url: string;
  readonly seed: number;
  readonly changesPerSecond: number;
  readonly onPulse: (pulse: Pulse) => void;
  readonly onEvent: (text: string) => void;
}

/** Keeps one workload process running until it is told to stop. */
export class Workload {
  readonly #options: WorkloadOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #stopping = false;
  #lives = 0;
  #before: WorkloadCounts = { changes: 0, transactions: 0, rollbacks: 0, reconnects: 0 };
  #now: WorkloadCounts = this.#before;
  #orphans: readonly number[] = [];

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Over all lives of the process. */
  get counts(): WorkloadCounts {
    return add(this.#before, this.#now);
  }

  start(): void {
    this.#lives += 1;
    const child = fork(fileURLToPath(new URL('workload-process.ts', import.meta.url)), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child = child;
    child.on('message', (message: FromWorkload) => this.#hear(message));
    const { url, seed, changesPerSecond } = this.#options;
    this.#tell({ kind: 'start', url, seed: seed + this.#lives, changesPerSecond, open: this.#lives === 1 });
    this.#tell({ kind: 'orphans', pids: this.#orphans });
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()));
    void this.#ended.then(() => {
      this.#before = add(this.#before, this.#now);
      this.#now = { changes: 0, transactions: 0, rollbacks: 0, reconnects: 0 };
      if (this.#stopping) return;
      this.#options.onEvent('the shop was killed, opened again');
      this.start();
    });
  }

  /** These processes are ended by the workload should this process be killed and unable to do it itself. */
  guard(pids: readonly number[]): void {
    this.#orphans = pids;
    this.#tell({ kind: 'orphans', pids });
  }

  /** Resolves when the last transaction is over. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#tell({ kind: 'stop' });
    const deadline = setTimeout(() => this.#child?.kill('SIGKILL'), 8000);
    await this.#ended;
    clearTimeout(deadline);
  }

  #tell(message: ToWorkload): void {
    if (this.#child?.connected) this.#child.send(message);
  }

  #hear(message: FromWorkload): void {
    if (message.kind === 'pulse') this.#options.onPulse(message);
    else if (message.kind === 'trouble') this.#options.onEvent(`the shop waits for MySQL: ${message.message}`);
    else this.#now = { ...message.counts };
  }
}

function add(a: WorkloadCounts, b: WorkloadCounts): WorkloadCounts {
  return {
    changes: a.changes + b.changes,
    transactions: a.transactions + b.transactions,
    rollbacks: a.rollbacks + b.rollbacks,
    reconnects: a.reconnects + b.reconnects,
  };
}
