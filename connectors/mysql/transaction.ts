/**
 * From events to transactions: which rows belong together, whether they were kept, and where in the source that was.
 * Every way that a group of events can begin and end is here, and what is not foreseen stops the stream.
 */
import { crc32 } from 'node:zlib';
import type { TableSchema } from '../../src/core/change.ts';
import type { CrossfadeError } from '../../src/core/errors.ts';
import type { RowChange, Transaction } from '../../src/core/source-port.ts';
import { versionPrefix } from '../../src/core/version.ts';
import { corruptEvent, unsupportedEvent } from './errors.ts';
import type { GtidEvent } from './gtid-event.ts';
import { fileNumber } from './position.ts';
import type { RowReceiver } from './rows.ts';
import type { StatementMeaning } from './statement.ts';

/** A place in the binlog: the offset is the true one, beyond 2^32 too. */
export interface Place {
  readonly file: string;
  readonly offset: number;
}

export interface EndedTransaction {
  readonly transaction: Transaction;
  readonly from: Place;
  readonly print: string;
}

export interface TransactionReceiver {
  /** Changes of a transaction that goes on. */
  part(changes: readonly RowChange[], bytes: number): void;
  /** The transaction is over; `changes` is what is left of it, and may be empty. */
  end(ended: EndedTransaction, changes: readonly RowChange[], bytes: number): void;
}

export interface AssemblerOptions {
  /** A transaction with more bytes of changes than this comes in parts. */
  readonly partBytes: number;
  /** Tables (`db.table`) whose storage engine does not roll back. */
  readonly untransactional: ReadonlySet<string>;
  readonly tableNameOf: (schema: TableSchema) => string;
}

interface Group {
  readonly transaction: Transaction;
  readonly from: Place;
  readonly counts: boolean;
  readonly xaOf: { xid: string | undefined };
  /** BEGIN or XA START came: rows may follow, and only COMMIT, XID, ROLLBACK or XA PREPARE ends it. */
  begun: boolean;
  ordinal: number;
  changes: RowChange[];
  bytes: number;
  parts: number;
  mappedRows: boolean;
  print: number;
  printed: string;
  readonly savepoints: Map<string, { readonly parts: number; readonly length: number }>;
}

export class TransactionAssembler implements RowReceiver {
  readonly #options: AssemblerOptions;
  readonly #receiver: TransactionReceiver;
  #group: Group | undefined;
  #pos = 0;
  #rowInEvent = 0;
  /** XA transactions that were prepared without rows of ours. */
  readonly harmlessXa: Set<string>;

  constructor(options: AssemblerOptions, receiver: TransactionReceiver, harmlessXa: readonly string[]) {
    this.#options = options;
    this.#receiver = receiver;
    this.harmlessXa = new Set(harmlessXa);
  }

  get open(): boolean {
    return this.#group !== undefined;
  }

  /** Of the transaction at hand: its GTID, where it begins, and whether a statement alone is all of it. */
  get atHand(): { readonly gtid: string | null; readonly from: Place; readonly alone: boolean } | undefined {
    return this.#group && { gtid: this.#group.transaction.gtid, from: this.#group.from, alone: !this.#group.begun };
  }

  /** `counts`: false for what lies before the start or was handed on before: it is not judged. */
  begin(event: GtidEvent, from: Place, serverId: number, timestampSeconds: number, epoch: number, counts = true): void {
    if (this.#group) throw corruptEvent('a transaction begins inside another', placeText(from));
    const gtid = event.gtid === '' ? null : event.gtid;
    const transaction: Transaction = {
      id: gtid ?? placeText(from),
      gtid,
      file: from.file,
      serverId,
      committedAtUs: event.committedAtUs || timestampSeconds * 1_000_000,
      versionPrefix: versionPrefix({ epoch, file: fileNumber(from.file), offset: from.offset }),
    };
    this.#group = {
      transaction,
      from,
      counts,
      xaOf: { xid: undefined },
      begun: false,
      ordinal: 0,
      changes: [],
      bytes: 0,
      parts: 0,
      mappedRows: false,
      print: crc32(String(event.originallyAtUs)),
      printed: '',
      savepoints: new Map(),
    };
  }

  /** The fingerprint: rows by table and kind, not how the server cut them into events; table ids and times of reading are left out. */
  fingerprint(of: string, bytes: Buffer): void {
    const group = this.#expectGroup();
    if (of !== group.printed) {
      group.print = crc32(of, group.print);
      group.printed = of;
    }
    group.print = crc32(bytes, group.print);
  }

  /** The rows of an event at this offset follow. */
  rowsAt(pos: number): void {
    this.#pos = pos;
    this.#rowInEvent = 0;
    this.#expectGroup();
  }

  /** Rows of captured tables that are not handed on. */
  sawMappedRows(): void {
    this.#expectGroup().mappedRows = true;
  }

  skipped(count: number): void {
    this.#expectGroup().ordinal += count;
  }

  row(
    schema: TableSchema,
    op: 'c' | 'u' | 'd',
    before: Uint8Array | null,
    after: Uint8Array | null,
    key: Uint8Array,
    oldKey: Uint8Array | null,
  ): void {
    const group = this.#group as Group;
    if (group.bytes >= this.#options.partBytes) this.#part(group);
    group.mappedRows = true;
    group.changes.push({
      transaction: group.transaction,
      schema,
      op,
      ordinal: group.ordinal,
      pos: this.#pos,
      row: this.#rowInEvent,
      before,
      after,
      key,
      oldKey,
    });
    group.ordinal += 1;
    this.#rowInEvent += 1;
    group.bytes += (before?.length ?? 0) + (after?.length ?? 0);
  }

  #part(group: Group): void {
    this.#receiver.part(group.changes, group.bytes);
    group.changes = [];
    group.bytes = 0;
    group.parts += 1;
  }

  statement(meaning: StatementMeaning, place: Place): void {
    const group = this.#expectGroup();
    switch (meaning.kind) {
      case 'begin':
        group.begun = true;
        return;
      case 'xa start':
        group.begun = true;
        group.xaOf.xid = meaning.xid;
        return;
      case 'commit':
        return this.#end(group);
      case 'rollback':
        return this.#rollback(group, place);
      case 'savepoint':
        group.savepoints.set(meaning.name, { parts: group.parts, length: group.changes.length });
        return;
      case 'rollback to':
        return this.#rollbackTo(group, meaning.name, place);
      case 'xa commit':
        if (!this.harmlessXa.delete(meaning.xid) && group.counts) throw xaUnsupported(place);
        return this.#end(group);
      case 'xa rollback':
        this.harmlessXa.delete(meaning.xid);
        return this.#end(group);
      default:
        // DDL and the like: alone it is its own transaction, in a group it is a part of it.
        if (!group.begun) this.#end(group);
    }
  }

  /** XID: the usual end. */
  commit(): void {
    this.#end(this.#expectGroup());
  }

  xaPrepare(onePhase: boolean, place: Place): void {
    const group = this.#expectGroup();
    if (!onePhase) {
      if (group.mappedRows && group.counts) throw xaUnsupported(place);
      if (group.xaOf.xid !== undefined && !group.mappedRows) this.harmlessXa.add(group.xaOf.xid);
    }
    this.#end(group);
  }

  #expectGroup(): Group {
    if (!this.#group) throw corruptEvent('it belongs to a transaction, but none has begun');
    return this.#group;
  }

  #end(group: Group): void {
    this.#group = undefined;
    this.#receiver.end(
      { transaction: group.transaction, from: group.from, print: group.print.toString(16).padStart(8, '0') },
      group.changes,
      group.bytes,
    );
  }

  /**
   * A group is written with ROLLBACK at its end only when it holds something that could not be undone: a replica does all
   * of it and rolls back, which keeps the rows of engines without transactions and drops the others. So do we.
   */
  #rollback(group: Group, place: Place): void {
    if (group.begun) this.#drop(group, { parts: 0, length: 0 }, place);
    this.#end(group);
  }

  #rollbackTo(group: Group, name: string, place: Place): void {
    const savepoint = group.savepoints.get(name);
    if (!savepoint)
      throw unsupportedEvent(
        `ROLLBACK TO a savepoint that was not set, at ${placeText(place)}`,
        'Report this with the output of mysqlbinlog at that place.',
      );
    this.#drop(group, savepoint, place);
  }

  #drop(group: Group, since: { readonly parts: number; readonly length: number }, place: Place): void {
    if (group.parts !== since.parts) {
      throw unsupportedEvent(
        `a rollback, at ${placeText(place)}, of rows in a transaction so large that a part of it was already passed on`,
        'A rollback in so large a transaction is not carried yet.',
      );
    }
    const kept = group.changes.filter(
      (change, index) => index < since.length || this.#options.untransactional.has(this.#options.tableNameOf(change.schema)),
    );
    group.changes = kept;
    group.bytes = kept.reduce((sum, change) => sum + (change.before?.length ?? 0) + (change.after?.length ?? 0), 0);
  }
}

export const placeText = ({ file, offset }: Place): string => `${file}:${offset}`;

function xaUnsupported(place: Place): CrossfadeError {
  return unsupportedEvent(
    `an XA transaction in two phases with rows of captured tables, or begun before we read, at ${placeText(place)}`,
    'Two-phase XA is not carried yet. Use ordinary transactions (or XA COMMIT … ONE PHASE) on captured tables.',
  );
}
