/**
 * Many statements in one round trip. Everything goes through the extended protocol and ends in one Sync: the server
 * skips whatever follows an error, also the rows of a COPY and the COMMIT, so nothing after a failed step can happen.
 */
import type { Connection, Submittable } from 'pg';
import { largeBind } from './large-bind.ts';

export interface Step {
  readonly text: string;
  /** A prepared statement's name; the same name must always carry the same text. */
  readonly name?: string;
  /** As text, or in the server's binary form. */
  readonly values?: readonly (string | Buffer | null)[];
  /** For `COPY … FROM STDIN`: the rows in COPY's text form. */
  readonly copy?: Buffer;
  /** How long the server may take over it, where that is longer than the session allows every statement. */
  readonly timeoutMs?: number;
}

export interface StepResult {
  /** `INSERT 0 5`, `COMMIT`. */
  readonly tag: string;
  /** Every value as text. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Why a run of steps ended early: the step that failed is `results.length`. */
export class StepsFailed extends Error {
  readonly results: readonly StepResult[];

  constructor(cause: unknown, results: readonly StepResult[]) {
    super('a statement failed', { cause });
    this.results = results;
  }
}

const maxCopyChunkBytes = 256 * 1024 * 1024;

export class Pipeline implements Submittable {
  readonly done: Promise<readonly StepResult[]>;
  readonly #steps: readonly Step[];
  readonly #prepared: Set<string>;
  readonly #results: StepResult[] = [];
  #rows: (string | null)[][] = [];
  readonly #resolve: (results: readonly StepResult[]) => void;
  readonly #reject: (error: StepsFailed) => void;

  /** `prepared`: the statements that this connection knows; grows as they prove to be there. */
  constructor(steps: readonly Step[], prepared: Set<string>) {
    this.#steps = steps;
    this.#prepared = prepared;
    const { promise, resolve, reject } = Promise.withResolvers<readonly StepResult[]>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Connection): void {
    connection.stream.cork();
    try {
      const sent = new Set<string>();
      for (const step of this.#steps) this.#send(connection, step, sent);
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
  }

  #send(connection: Connection, { text, name = '', values = [], copy }: Step, sent: Set<string>): void {
    if (name === '' || !(this.#prepared.has(name) || sent.has(name))) {
      // An earlier failure may have left the name behind; closing an unknown name is no error.
      if (name !== '') connection.close({ type: 'S', name }, true);
      connection.parse({ name, text, types: [] }, true);
      if (name !== '') sent.add(name);
    }
    const large = largeBind(name, values);
    if (large) for (const piece of large) connection.stream.write(piece);
    else connection.bind({ statement: name, values: [...values] }, true);
    connection.execute(null, true);
    if (copy) sendCopy(connection, copy);
  }

  handleDataRow(message: { fields: (string | null)[] }): void {
    this.#rows.push(message.fields);
  }

  handleCommandComplete(message: { text: string }): void {
    const name = this.#steps[this.#results.length]?.name;
    if (name !== undefined) this.#prepared.add(name);
    this.#results.push({ tag: message.text, rows: this.#rows });
    this.#rows = [];
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: '' });
  }

  handleError(error: unknown): void {
    this.#reject(new StepsFailed(error, this.#results));
  }

  handleReadyForQuery(): void {
    if (this.#results.length === this.#steps.length) this.#resolve(this.#results);
    else this.#reject(new StepsFailed(new Error('the server answered fewer statements than it was sent'), this.#results));
  }

  /** The rows were sent along with the statement. */
  handleCopyInResponse(): void {}
  handleRowDescription(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}

/** CopyData and CopyDone, written by hand: pg's own would copy the rows twice. */
function sendCopy(connection: Connection, rows: Buffer): void {
  for (let from = 0; from < rows.length; from += maxCopyChunkBytes) {
    const chunk = rows.subarray(from, from + maxCopyChunkBytes);
    const head = Buffer.allocUnsafe(5);
    head[0] = 0x64;
    head.writeInt32BE(chunk.length + 4, 1);
    connection.stream.write(head);
    connection.stream.write(chunk);
  }
  connection.stream.write(Buffer.from([0x63, 0, 0, 0, 4]));
}
