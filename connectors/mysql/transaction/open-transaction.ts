/** The transaction at hand: its rows so far, where they wait, and what a rollback takes away again. */
import type { TableSchema } from '../../../src/core/change.ts';
import type { CrossfadeError } from '../../../src/core/errors.ts';
import type { RowChange, Transaction } from '../../../src/core/source-port.ts';
import { unsupportedEvent } from '../errors.ts';
import { HeldRows, type HeldRow } from './held-rows.ts';
import { Savepoints } from './savepoints.ts';
import { placeText, type Place } from '../position/place.ts';
import { crc32, textCrc32 } from '../crc32.ts';

/** What GTID events of either flavor say about the transaction that they begin. */
export interface GroupStart {
  /** '' for an anonymous transaction. */
  readonly gtid: string;
  /** Microseconds since 1970 at the server that we read from, and at the one where it was first committed; 0: not said. */
  readonly committedAtUs: number;
  readonly originallyAtUs: number;
  /** MariaDB's GTID event is the BEGIN too, unless one statement alone follows. */
  readonly begun?: boolean;
  /** MariaDB's GTID event is the XA START too. */
  readonly xid?: string;
}

export class Group {
  readonly transaction: Transaction;
  readonly from: Place;
  /** False for what lies before the start or was handed on before: it is not judged. */
  readonly counts: boolean;
  readonly #partBytes: number;
  xid: string | undefined;
  /** BEGIN or XA START came: rows may follow, and only COMMIT, XID, ROLLBACK or XA PREPARE ends it. */
  begun: boolean;
  ordinal = 0;
  changes: RowChange[] = [];
  bytes = 0;
  mappedRows = false;
  /** Why rows that are only held could not be read. */
  failure: CrossfadeError | undefined;
  /** Rows that were passed on in parts. */
  #passed = 0;
  #held: HeldRows | undefined;
  #savepoints: Savepoints | undefined;
  #print: number;
  #printed = '';

  constructor(start: GroupStart, transaction: Transaction, from: Place, counts: boolean, partBytes: number) {
    this.transaction = transaction;
    this.from = from;
    this.counts = counts;
    this.#partBytes = partBytes;
    this.begun = start.begun === true;
    this.#print = textCrc32(String(start.originallyAtUs));
    if (start.xid !== undefined) this.beginXa(start.xid);
  }

  beginXa(xid: string): void {
    this.begun = true;
    this.xid = xid;
    this.hold();
  }

  /** Rows wait from here on, and go nowhere before the transaction's end: until then they may be taken back. */
  hold(): void {
    if (this.#held) return;
    this.#held = new HeldRows(this.#partBytes);
    for (const change of this.changes) this.#held.add(change);
    this.changes = [];
    this.bytes = 0;
  }

  /** The held rows have an owner now. */
  giveAway(): HeldRows | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held;
  }

  /** What there is goes ahead; nothing can take it back. */
  passOn(): void {
    this.#passed += this.changes.length;
    this.changes = [];
    this.bytes = 0;
  }

  add(change: RowChange): void {
    if (this.#held) return this.#held.add(change);
    this.changes.push(change);
    this.bytes += (change.before?.length ?? 0) + (change.after?.length ?? 0);
  }

  get hasSavepoints(): boolean {
    return this.#savepoints?.any ?? false;
  }

  savepoint(name: string): void {
    this.#savepoints ??= new Savepoints();
    this.#savepoints.set(name, this.#passed + (this.#held?.count ?? this.changes.length));
  }

  /** A part of it went ahead. */
  get isPassedOn(): boolean {
    return this.#passed > 0;
  }

  rollbackTo(name: string, staysIn: (schema: TableSchema) => boolean, place: Place): void {
    this.rollback((this.#savepoints ?? new Savepoints()).rollbackTo(name, placeText(place)), staysIn, place);
  }

  /** Takes back what came after the first `count` rows, but for tables that do not roll back. */
  rollback(count: number, staysIn: (schema: TableSchema) => boolean, place: Place): void {
    if (count < this.#passed) throw passedOn(place);
    const keeps = (row: HeldRow, index: number) => index < count - this.#passed || staysIn(row.schema);
    if (this.#held) {
      this.#held = this.#held.filter(keeps);
      return;
    }
    this.changes = this.changes.filter(keeps);
    this.bytes = this.changes.reduce((sum, change) => sum + (change.before?.length ?? 0) + (change.after?.length ?? 0), 0);
  }

  /** The fingerprint: rows by table and kind, not how the server cut them into events; table ids and times of reading are left out. */
  fingerprint(of: string, bytes: Buffer, from: number, end: number): void {
    if (of !== this.#printed) {
      this.#print = textCrc32(of, this.#print);
      this.#printed = of;
    }
    this.#print = crc32(bytes, from, end, this.#print);
  }

  get print(): number {
    return this.#print;
  }
}

/** A fingerprint as positions have it. */
export const printText = (print: number): string => print.toString(16).padStart(8, '0');

function passedOn(place: Place): CrossfadeError {
  return unsupportedEvent(
    `a rollback, at ${placeText(place)}, of rows in a transaction so large that a part of it was already passed on`,
    'A rollback in so large a transaction is not carried yet.',
  );
}
