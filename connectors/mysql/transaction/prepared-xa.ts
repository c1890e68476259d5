/** XA transactions between XA PREPARE and XA COMMIT: what is known of each, and the rows that wait. */
import type { CrossfadeError } from '../../../src/core/errors.ts';
import { unsupportedEvent } from '../errors.ts';
import type { HeldRows } from './held-rows.ts';
import type { PreparedXa } from '../position/position.ts';

interface Prepared {
  readonly entry: PreparedXa;
  /** Undefined: without rows of ours, or named by the position and not read again yet. */
  readonly rows: HeldRows | undefined;
  /** Why its rows could not be read. It counts only when they are wanted. */
  readonly failure: CrossfadeError | undefined;
}

/** Of all of them together, in memory; what comes beyond goes to its file. */
const mostBytes = 16 * 1024 * 1024;

export class PreparedTransactions implements Disposable {
  readonly #byXid: Map<string, Prepared>;

  /** `open`: those of the position. */
  constructor(open: readonly PreparedXa[]) {
    this.#byXid = new Map(open.map((entry) => [entry.xid, { entry, rows: undefined, failure: undefined }]));
  }

  /** For the position: oldest first, as they were prepared. */
  list(): readonly PreparedXa[] {
    return [...this.#byXid.values()].map(({ entry }) => entry);
  }

  add(entry: PreparedXa, rows: HeldRows | undefined, failure?: CrossfadeError): void {
    this.drop(entry.xid);
    this.#byXid.set(entry.xid, { entry, rows, failure });
    if (rows && this.#bytes() > mostBytes) rows.moveToFile();
  }

  #bytes(): number {
    let bytes = 0;
    for (const { rows } of this.#byXid.values()) bytes += rows?.memoryBytes ?? 0;
    return bytes;
  }

  /** XA ROLLBACK, or an end that lies before our start. */
  drop(xid: string): void {
    this.#byXid.get(xid)?.rows?.[Symbol.dispose]();
    this.#byXid.delete(xid);
  }

  /** XA COMMIT: the rows now belong to the caller; undefined where there are none of ours. `place` is for messages. */
  take(xid: string, place: string): HeldRows | undefined {
    const prepared = this.#byXid.get(xid);
    if (prepared?.failure) throw prepared.failure;
    if (!prepared || (prepared.entry.captured && !prepared.rows)) throw notSeen(xid, place);
    this.#byXid.delete(xid);
    return prepared.rows;
  }

  [Symbol.dispose](): void {
    for (const { rows } of this.#byXid.values()) rows?.[Symbol.dispose]();
    this.#byXid.clear();
  }
}

function notSeen(xid: string, place: string): CrossfadeError {
  return unsupportedEvent(
    `at ${place} the XA COMMIT of ${xid}, whose XA PREPARE lies before everything that was read (or was never in the binlog: sql_log_bin = 0): its rows are not known`,
    'What it wrote into captured tables must be brought over by hand: ask the application that committed it, and SELECT those rows in the source. With a start that a person names, take one at which XA RECOVER was empty.',
  );
}
