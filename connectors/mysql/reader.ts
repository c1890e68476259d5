/** The order of a binlog stream: packet after packet to the right handler, and where each event is in which file. */
import { tableName } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import { corruptEvent, diverged } from './errors.ts';
import {
  checksumBytes,
  checksumsFollow,
  endsTransaction,
  EventHeader,
  headerBytes,
  parseQuery,
  parseRotate,
  refusedEvent,
  treatmentOf,
  verifyChecksum,
  type Handled,
} from './events.ts';
import { parseGtidEvent, parsePreviousGtids, parseTaggedGtidEvent, type GtidEvent } from './gtid-event.ts';
import { GtidSet } from './gtid.ts';
import { JsonOut } from './json-out.ts';
import { positionText, type LastTransaction } from './position.ts';
import type { Outbox } from './outbox.ts';
import { isBefore, isBeforeStart, startLiesAhead, type ReaderOptions, type ReadPlan } from './read-plan.ts';
import { HeartbeatClock } from './heartbeat.ts';
import { refuseStatement } from './refusals.ts';
import { withWayPast } from './start-line.ts';
import { countRows, decodeRows, parseRowsHeader, type RowsKind } from './rows.ts';
import { Shapes, tableId } from './shapes.ts';
import { meaningOf, type StatementMeaning } from './statement.ts';
import { placeText, TransactionAssembler, type EndedTransaction, type Place, type TransactionReceiver } from './transaction.ts';
import type { RowChange } from '../../src/core/source-port.ts';

export class BinlogReader implements TransactionReceiver {
  readonly #plan: ReadPlan;
  readonly #options: ReaderOptions;
  readonly #shapes: Shapes;
  readonly #assembler: TransactionAssembler;
  readonly #header = new EventHeader();
  readonly #out = new JsonOut();
  #outbox: Outbox | undefined;
  #checksums = true;
  #file = '';
  /** True offset of the event at hand, and of the next. */
  #at = 0;
  #next = 0;
  #gtids: GtidSet | null;
  #prove: LastTransaction | null;
  #epoch: number;
  /** What the transaction at hand is for; only what was never read is handed on. */
  #purpose: 'deliver' | 'prove' | 'skip' = 'deliver';
  #committed: { file: string; pos: number; last: LastTransaction | null };
  #throughUs: number;
  readonly #clock: HeartbeatClock;
  #started = false;

  constructor(plan: ReadPlan, options: ReaderOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#shapes = new Shapes(options.tables);
    this.#clock = new HeartbeatClock(options.heartbeatUs, options.clockOffsetUs);
    this.#gtids = plan.byGtid ? GtidSet.parse(plan.from.gtid ?? '') : null;
    this.#prove = plan.prove;
    this.#epoch = plan.epoch;
    const { file, pos, last } = plan.from;
    this.#committed = { file, pos, last };
    this.#throughUs = plan.from.throughUs;
    const { partBytes, untransactional } = options;
    this.#assembler = new TransactionAssembler(
      { partBytes, untransactional, tableNameOf: (schema) => tableName(schema.table) },
      this,
      plan.from.xa,
    );
  }

  /** The outbox asks the reader for positions, the reader puts into the outbox. */
  connect(outbox: Outbox): void {
    this.#outbox = outbox;
  }

  position(): string {
    return positionText({
      uuid: this.#plan.uuid,
      epoch: this.#epoch,
      gtid: this.#gtids?.toString() ?? null,
      ...this.#committed,
      xa: [...this.#assembler.harmlessXa],
      throughUs: this.#throughUs,
    });
  }
  throughUs(): number {
    return this.#throughUs;
  }
  /** The server's end when we connected lies behind us; it is a transaction's end, so nothing before it is still open. */
  caughtUp(): boolean {
    return this.#file !== '' && !isBefore({ file: this.#file, offset: this.#next }, this.#plan.end);
  }

  /** One event, from its header to its end. Throws CrossfadeError for everything that must stop the stream. */
  event(b: Buffer, from: number, end: number): void {
    try {
      this.#event(b, from, end);
    } catch (error) {
      throw error instanceof CrossfadeError ? this.#withWayPast(error) : error;
    }
  }

  #withWayPast(error: CrossfadeError): CrossfadeError {
    const transaction = this.#assembler.atHand;
    if (!transaction) return error;
    // An event that is refused by its type alone was not measured, and it is a part of something larger anyway.
    const alone = transaction.alone && this.#header.type === queryType;
    return withWayPast(error, { ...transaction, alone, executed: this.#gtids, eventEnd: { file: this.#file, offset: this.#next } });
  }

  #event(b: Buffer, from: number, end: number): void {
    const header = this.#header;
    header.read(b, from, end);
    const treatment = treatmentOf(header.type);
    const handled = typeof treatment === 'object' && 'handle' in treatment ? treatment : undefined;
    const format = handled?.handle === 'format';
    if (format) this.#checksums = checksumsFollow(b, end);
    if (this.#checksums) verifyChecksum(b, from, end);
    if (header.inFile && handled?.handle !== 'heartbeat') this.#advance();
    if (handled)
      this.#handle(handled.handle, handled.version ?? 2, b, from + headerBytes, this.#checksums || format ? end - checksumBytes : end);
    else if (treatment !== 'ignore') this.#refuse(header.type);
    this.#clock.arrived();
  }

  /** What lies before the start is of no concern, whatever it is; only its GTID counts. */
  #refuse(type: number): void {
    const isPassed = this.#assembler.open ? this.#purpose === 'skip' : startLiesAhead(this.#plan, this.#place());
    if (!isPassed) throw refusedEvent(type, placeText(this.#place()));
    if (endsTransaction(type) && this.#assembler.atHand?.alone) this.#assembler.commit();
  }

  /** Offsets come with 32 bits; only forward is possible, so the nearest one ahead is meant. */
  #advance(): void {
    const start = (this.#header.logPos - this.#header.size) >>> 0;
    const ahead = (start - (this.#next % 4294967296) + 4294967296) % 4294967296;
    this.#at = this.#next + ahead;
    this.#next = this.#at + this.#header.size;
  }

  #place(): Place {
    return { file: this.#file, offset: this.#at };
  }

  // One switch on purpose: nothing can fall between two.
  #handle(handle: Handled, version: 1 | 2, b: Buffer, body: number, end: number): void {
    switch (handle) {
      case 'table map':
        return this.#shapes.learn(b, body, end);
      case 'write rows':
      case 'update rows':
      case 'delete rows':
        return this.#rows(handle, version, b, body, end);
      case 'gtid':
        return this.#begin(parseGtidEvent(b, body, end, false));
      case 'anonymous gtid':
        return this.#begin(parseGtidEvent(b, body, end, true));
      case 'tagged gtid':
        return this.#begin(parseTaggedGtidEvent(b, body, end));
      case 'query':
        return this.#query(b, body, end);
      case 'xid':
        return this.#assembler.commit();
      case 'xa prepare':
        return this.#assembler.xaPrepare(b[body] === 1, this.#place());
      case 'rotate':
        return this.#rotate(b, body, end);
      case 'heartbeat':
        return this.#heartbeat();
      case 'previous gtids':
        if (this.#plan.seedGtids) this.#gtids?.merge(parsePreviousGtids(b, body, end));
        return;
      case 'format':
        if (!this.#prove && !this.#plan.seedGtids) this.#begun();
        return;
    }
  }

  #begun(): void {
    if (this.#started) return;
    this.#started = true;
    this.#outbox?.open();
  }

  #rotate(b: Buffer, body: number, end: number): void {
    const { file, offset } = parseRotate(b, body, end);
    this.#file = file;
    this.#at = offset;
    this.#next = offset;
    // A file's own ROTATE ends it; the one made for this connection only says where we are.
    if (this.#assembler.open) throw corruptEvent('a file ends inside a transaction', placeText(this.#place()));
    if (!isBeforeStart(this.#plan, this.#place())) this.#committed = { ...this.#committed, file, pos: offset };
  }

  #begin(event: GtidEvent): void {
    const from = this.#place();
    const last = this.#prove;
    this.#purpose = 'deliver';
    if (last && (last.gtid === null ? last.file === from.file && last.pos === from.offset : event.gtid === last.gtid))
      this.#purpose = 'prove';
    else if (startLiesAhead(this.#plan, from)) this.#purpose = 'skip';
    else if (last && this.#plan.uuid === this.#plan.from.uuid) throw this.#notMet();
    else if (last && this.#outbox?.full) throw this.#notMet();
    else if (!last) this.#begun();
    if (
      this.#purpose === 'prove' &&
      last &&
      this.#epoch === this.#plan.from.epoch &&
      (last.file !== from.file || last.pos !== from.offset)
    ) {
      // The same server's history at other offsets, as after a restored backup: versions must not go back.
      this.#epoch += 1;
    }
    this.#assembler.begin(event, from, this.#header.serverId, this.#header.timestampSeconds, this.#epoch, this.#purpose === 'deliver');
  }

  #notMet(): CrossfadeError {
    return diverged(`the last transaction that was read (${this.#prove?.gtid ?? 'by its offset'}) is not where it was`);
  }

  #query(b: Buffer, body: number, end: number): void {
    const { database, sql } = parseQuery(b, body, end);
    if (sql === 'BEGIN') return this.#assembler.statement(begin, this.#place());
    const meaning = meaningOf(sql, database);
    const place = this.#place();
    if (this.#purpose === 'deliver') {
      const { tables, unkeyed } = this.#options;
      refuseStatement(meaning, { mapped: tables.mapped, unkeyed, database, place: placeText(place) });
    }
    if (meaning.kind === 'destroys' || meaning.kind === 'ignore' || meaning.kind === 'unknown')
      this.#assembler.fingerprint('statement', Buffer.from(sql));
    this.#assembler.statement(meaning, place);
  }

  #rows(kind: RowsKind, version: 1 | 2, b: Buffer, body: number, end: number): void {
    const id = tableId(b, body);
    // The server's way to end a statement that touched no row.
    if (id === 0xffffff) return;
    const shape = this.#shapes.get(id);
    if (!shape) throw corruptEvent('a rows event names a table that was not described', placeText(this.#place()));
    const header = parseRowsHeader(b, body, end, kind, version);
    if (header.columns !== shape.columns.length)
      throw corruptEvent('a rows event has another number of columns than its table', placeText(this.#place()));
    this.#assembler.rowsAt(this.#at);
    this.#assembler.fingerprint(`${shape.name} ${kind}`, b.subarray(header.rows, end));
    if (this.#purpose !== 'deliver') {
      if (shape.mapped) this.#assembler.sawMappedRows();
      return;
    }
    if (shape.mapped) decodeRows(b, end, kind, header, shape, this.#out, this.#assembler, () => placeText(this.#place()));
    else this.#assembler.skipped(countRows(b, end, kind, header, shape, () => placeText(this.#place())));
  }

  part(changes: readonly RowChange[], bytes: number): void {
    if (this.#prove && this.#outbox?.full) throw this.#notMet();
    this.#outbox?.part(changes, bytes);
  }

  end({ transaction, from, print }: EndedTransaction, changes: readonly RowChange[], bytes: number): void {
    const { gtid } = transaction;
    const last = { file: from.file, pos: from.offset, gtid, print };
    if (this.#purpose === 'prove') {
      if (this.#prove?.print !== print) throw diverged(`transaction ${transaction.id} has another content than when it was read`);
      this.#prove = null;
    }
    if (gtid !== null) this.#gtids?.add(gtid);
    if (this.#purpose === 'skip') return;
    this.#throughUs = Math.max(this.#throughUs, transaction.committedAtUs);
    if (this.#purpose === 'deliver') {
      this.#committed = { file: this.#file, pos: this.#next, last };
      this.#outbox?.commit(changes, bytes);
      return;
    }
    const behind = { file: this.#file, offset: this.#next };
    this.#committed = isBeforeStart(this.#plan, behind) ? { ...this.#committed, last } : { file: behind.file, pos: behind.offset, last };
    this.#begun();
  }

  #heartbeat(): void {
    if (this.#header.logPos > 0 && this.#next % 4294967296 !== this.#header.logPos) {
      this.#header.size = 0;
      this.#advance();
    }
    if (!this.#started) {
      if (isBefore({ file: this.#file, offset: this.#next }, this.#plan.end)) return;
      if (this.#prove) throw this.#notMet();
      this.#begun();
    }
    if (this.#assembler.open) return;
    if (this.#outbox?.paused === false) this.#throughUs = Math.max(this.#throughUs, this.#clock.sentUs());
    this.#outbox?.beat();
  }
}

const queryType = 2;
const begin: StatementMeaning = { kind: 'begin' };
