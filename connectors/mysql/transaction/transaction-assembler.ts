/**
 * From events to transactions: which rows belong together, whether they were kept, and where in the source that was. Every way
 * that a group of events can begin and end is here; what is not foreseen stops the stream.
 */
import type { TableSchema } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { RowChange, Transaction } from '../../../src/core/source-port.ts';
import { versionPrefix } from '../../../src/core/version.ts';
import { corruptEvent } from '../errors.ts';
import { Group, type GroupStart } from './open-transaction.ts';
import type { HeldRows } from './held-rows.ts';
import { placeText, type Place } from '../position/place.ts';
import { fileNumber, type PreparedXa } from '../position/position.ts';
import { PreparedTransactions } from './prepared-xa.ts';
import type { RowReceiver } from '../rows/rows.ts';
import type { StatementMeaning } from '../statements/statement.ts';

export interface EndedTransaction {
  readonly transaction: Transaction;
  readonly from: Place;
  /** See printText. */
  readonly print: number;
}

export interface TransactionReceiver {
  /** Changes of a transaction that goes on. */
  part(changes: readonly RowChange[], bytes: number): void;
  /** The transaction is over; `changes` is what is left of it, and may be empty. */
  end(ended: EndedTransaction, changes: readonly RowChange[], bytes: number): void;
  /** Undefined: there is room for more; else a promise of it. */
  room(): Promise<void> | undefined;
  /** What is read may end in the middle of a transaction that was never committed. */
  mayBeTorn(): boolean;
  /** MariaDB: the GTID in front of this one in its domain; see PreparedXa. */
  predecessor(gtid: string): string | null;
}

export interface AssemblerOptions {
  /** A transaction with more bytes of changes than this comes in parts; rows that must wait take as much memory, then a file. */
  readonly partBytes: number;
  /** Tables (`db.table`) whose storage engine does not roll back. */
  readonly untransactional: ReadonlySet<string>;
  readonly tableNameOf: (schema: TableSchema) => string;
}

const noBytes = new Uint8Array();

export class TransactionAssembler implements RowReceiver, Disposable {
  readonly #options: AssemblerOptions;
  readonly #receiver: TransactionReceiver;
  readonly #prepared: PreparedTransactions;
  #group: Group | undefined;
  #pos = 0;
  #rowInEvent = 0;

  constructor(options: AssemblerOptions, receiver: TransactionReceiver, openXa: readonly PreparedXa[]) {
    this.#options = options;
    this.#receiver = receiver;
    this.#prepared = new PreparedTransactions(openXa);
  }

  get open(): boolean {
    return this.#group !== undefined;
  }
  /** Prepared and not ended. */
  get openXa(): readonly PreparedXa[] {
    return this.#prepared.list();
  }

  /** Of the transaction at hand: its GTID, where it begins, and whether a statement alone is all of it. */
  get atHand(): { readonly gtid: string | null; readonly from: Place; readonly alone: boolean } | undefined {
    return this.#group && { gtid: this.#group.transaction.gtid, from: this.#group.from, alone: !this.#group.begun };
  }

  /** Rows of the transaction at hand are wanted: to be handed on, or (an XA transaction, wherever it lies) for its XA COMMIT. */
  get wantsRows(): boolean {
    return this.#group !== undefined && (this.#group.counts || this.#group.xid !== undefined);
  }

  /** `counts`: false for what lies before the start or was handed on before. */
  begin(start: GroupStart, from: Place, serverId: number, timestampSeconds: number, epoch: number, counts = true): void {
    if (this.#group) throw corruptEvent('a transaction begins inside another', placeText(from));
    const gtid = start.gtid === '' ? null : start.gtid;
    const transaction: Transaction = {
      id: gtid ?? placeText(from),
      gtid,
      file: from.file,
      serverId,
      committedAtUs: start.committedAtUs || timestampSeconds * 1_000_000,
      versionPrefix: versionPrefix({ epoch, file: fileNumber(from.file), offset: from.offset }),
    };
    this.#group = new Group(start, transaction, from, counts, this.#options.partBytes);
  }

  fingerprint(of: string, bytes: Buffer, from: number, end: number): void {
    this.#expectGroup().fingerprint(of, bytes, from, end);
  }

  /** The rows of an event at this offset follow. Events of one payload share it, and their rows are counted through. */
  rowsAt(pos: number): void {
    if (pos !== this.#pos) this.#rowInEvent = 0;
    this.#pos = pos;
    this.#expectGroup();
  }

  /** Rows of captured tables that are not handed on. */
  sawMappedRows(): void {
    this.#expectGroup().mappedRows = true;
  }

  /** Rows that are only held cannot be read: that stops the stream when they are wanted, and not before. */
  failed(error: unknown): void {
    const group = this.#expectGroup();
    if (group.counts || !(error instanceof CrossfadeError)) throw error;
    group.mappedRows = true;
    group.failure ??= error;
  }

  skipped(count: number): void {
    this.#expectGroup().ordinal += count;
  }

  row(
    schema: TableSchema,
    op: RowChange['op'],
    before: Uint8Array | null,
    after: Uint8Array | null,
    key: Uint8Array,
    oldKey: Uint8Array | null,
  ): void {
    const group = this.#group as Group;
    if (group.bytes >= this.#options.partBytes) this.#part(group);
    group.mappedRows = true;
    const { transaction, ordinal } = group;
    group.add({ transaction, schema, op, ordinal, pos: this.#pos, row: this.#rowInEvent, before, after, key, oldKey });
    group.ordinal += 1;
    this.#rowInEvent += 1;
  }

  /** TRUNCATE: alone in its transaction. */
  truncate(schema: TableSchema, pos: number): void {
    this.rowsAt(pos);
    this.row(schema, 't', null, null, noBytes, null);
  }

  /** A part that is passed on cannot be taken back: behind a savepoint none is, nor where the end may be missing. */
  #part(group: Group): void {
    if (group.hasSavepoints || this.#receiver.mayBeTorn()) group.hold();
    else this.#passOn(group);
  }

  /** Answers a promise when the end of a transaction with rows in a file takes its time. */
  statement(meaning: StatementMeaning, place: Place): void | Promise<void> {
    const group = this.#expectGroup();
    switch (meaning.kind) {
      case 'begin':
        group.begun = true;
        return;
      case 'xa start':
        return group.beginXa(meaning.xid);
      case 'commit':
        return this.#end(group);
      case 'rollback':
        return this.#rollback(group, place);
      case 'savepoint':
        return group.savepoint(meaning.name);
      case 'rollback to':
        return this.#rollbackTo(group, meaning.name, place);
      case 'xa commit':
        return this.#xaCommit(group, meaning.xid, place);
      case 'xa rollback':
        this.#prepared.drop(meaning.xid);
        return this.#end(group);
      default:
        // DDL and the like: alone it is its own transaction, in a group it is a part of it.
        if (!group.begun) return this.#end(group);
    }
  }

  /** XID: the usual end. */
  commit(): void | Promise<void> {
    return this.#end(this.#expectGroup());
  }

  /** The first half of two, or with `onePhase` an ordinary end. */
  xaPrepare(onePhase: boolean): void | Promise<void> {
    const group = this.#expectGroup();
    const { xid, mappedRows, failure, from } = group;
    if (onePhase || xid === undefined) return this.#end(group);
    const { gtid } = group.transaction;
    const before = gtid === null ? null : this.#receiver.predecessor(gtid);
    const rows = group.giveAway();
    if (!mappedRows) rows?.[Symbol.dispose]();
    this.#prepared.add(
      { xid, gtid, before, file: from.file, pos: from.offset, captured: mappedRows },
      mappedRows ? rows : undefined,
      failure,
    );
    return this.#end(group);
  }

  /** Its rows become those of the XA COMMIT's own transaction: only here are they committed. */
  #xaCommit(group: Group, xid: string, place: Place): void | Promise<void> {
    if (!group.counts) {
      this.#prepared.drop(xid);
      return this.#end(group);
    }
    const rows = this.#prepared.take(xid, placeText(place));
    return rows ? this.#release(group, rows, place.offset) : this.#end(group);
  }

  #expectGroup(): Group {
    if (!this.#group) throw corruptEvent('it belongs to a transaction, but none has begun');
    return this.#group;
  }

  #end(group: Group): void | Promise<void> {
    const held = group.giveAway();
    if (held) {
      if (group.counts) return this.#release(group, held);
      held[Symbol.dispose]();
    }
    return this.#over(group);
  }

  #over(group: Group): void {
    this.#group = undefined;
    this.#receiver.end({ transaction: group.transaction, from: group.from, print: group.print }, group.changes, group.bytes);
  }

  /** Held rows go on at last; `pos`: where they are said to be, if that is not where they came from. */
  #release(group: Group, held: HeldRows, pos?: number): void | Promise<void> {
    if (held.inFile) return this.#releaseSlowly(group, held, pos);
    let number = 0;
    for (const row of held.rows()) {
      if (group.bytes >= this.#options.partBytes) this.#passOn(group);
      group.add({ transaction: group.transaction, ...row, ...(pos === undefined ? {} : { pos, row: number }) });
      number += 1;
    }
    held[Symbol.dispose]();
    this.#over(group);
  }

  /** They may be more than memory holds, so each part waits until there is room. */
  async #releaseSlowly(group: Group, held: HeldRows, pos?: number): Promise<void> {
    using rows = held;
    let number = 0;
    for (const row of rows.rows()) {
      if (group.bytes >= this.#options.partBytes) {
        this.#passOn(group);
        await this.#receiver.room();
      }
      group.add({ transaction: group.transaction, ...row, ...(pos === undefined ? {} : { pos, row: number }) });
      number += 1;
    }
    this.#over(group);
  }

  #passOn(group: Group): void {
    this.#receiver.part(group.changes, group.bytes);
    group.passOn();
  }

  /**
   * A group is written with ROLLBACK at its end only when it holds something that could not be undone: a replica does all
   * of it and rolls back, which keeps the rows of engines without transactions and drops the others. So do we.
   */
  #rollback(group: Group, place: Place): void | Promise<void> {
    if (group.begun) group.rollback(0, this.#staysIn, place);
    return this.#end(group);
  }

  #rollbackTo(group: Group, name: string, place: Place): void {
    try {
      group.rollbackTo(name, this.#staysIn, place);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Its end is missing: it was never committed. False: a part of it went ahead. */
  discard(): boolean {
    if (this.#group?.isPassedOn) return false;
    this.#group?.giveAway()?.[Symbol.dispose]();
    this.#group = undefined;
    return true;
  }

  readonly #staysIn = (schema: TableSchema): boolean => this.#options.untransactional.has(this.#options.tableNameOf(schema));

  [Symbol.dispose](): void {
    this.#group?.giveAway()?.[Symbol.dispose]();
    this.#prepared[Symbol.dispose]();
  }
}
