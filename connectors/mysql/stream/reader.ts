/** The order of a binlog stream: packet after packet to the right handler, and where each event is in which file. */
import { tableName } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { RowChange } from '../../../src/core/source-port.ts';
import { BinlogCursor } from './binlog-cursor.ts';
import { corruptEvent, unreachable, unsupportedEvent } from '../errors.ts';
import { parseCompressedQuery, parseLoadQuery, parseQuery, parseRotate, type QueryEvent } from './event-bodies.ts';
import {
  belongsInside,
  checksumBytes,
  checksumsFollow,
  endsTransaction,
  EventHeader,
  headerBytes,
  refusedEvent,
  treatmentOf,
  verifyChecksum,
  type Handled,
} from './events.ts';
import type { Flavor } from '../position/executed.ts';
import type { GroupStart } from '../transaction/open-transaction.ts';
import { parseGtidEvent, parsePreviousGtids, parseTaggedGtidEvent } from './gtid-event.ts';
import { HeartbeatClock } from './heartbeat.ts';
import { undescribed } from '../rows/mariadb-columns.ts';
import { parseGtidList, parseMariadbGtidEvent } from './mariadb-events.ts';
import type { Outlet, Progress } from './outbox.ts';
import { parsePayload, readPayload } from './payload.ts';
import { placeText } from '../position/place.ts';
import { mayEndTorn, startLiesAhead, type ReadPlan } from '../position/read-plan.ts';
import type { ReaderOptions } from './reader-options.ts';
import { ReadProgress } from './read-progress.ts';
import { RowEvents, type RowsForm } from './row-events.ts';
import { withWayPast } from '../position/way-past.ts';
import { StatementEvents } from './statement-events.ts';
import { TransactionAssembler, type EndedTransaction, type TransactionReceiver } from '../transaction/transaction-assembler.ts';

export class BinlogReader<Out extends Outlet = Outlet> implements TransactionReceiver, Disposable {
  readonly outbox: Out;
  readonly #plan: ReadPlan;
  readonly #cursor = new BinlogCursor();
  readonly #progress: ReadProgress;
  readonly #assembler: TransactionAssembler;
  readonly #rows: RowEvents;
  readonly #statements: StatementEvents;
  readonly #clock: HeartbeatClock;
  readonly #header = new EventHeader();
  /** Of an event inside a compressed transaction. */
  readonly #inner = new EventHeader();
  #insidePayload = false;
  #checksums = true;

  /** The reader puts into what `openOutbox` answers, and that asks the reader how far it is. */
  constructor(plan: ReadPlan, options: ReaderOptions, openOutbox: (progress: Progress) => Out) {
    this.#plan = plan;
    const throughUs = () => this.#progress.throughUs;
    const { clockOffsetUs } = options;
    this.outbox = openOutbox({ position: () => this.position(), throughUs, clockOffsetUs, caughtUp: () => this.caughtUp() });
    this.#progress = new ReadProgress(plan, this.#cursor, () => this.outbox.open());
    this.#clock = new HeartbeatClock(options.heartbeatUs, options.clockOffsetUs);
    const { partBytes, untransactional } = options;
    const assembling = { partBytes, untransactional, tableNameOf: (schema: RowChange['schema']) => tableName(schema.table) };
    this.#assembler = new TransactionAssembler(assembling, this, plan.from.xa);
    this.#rows = new RowEvents(options.tables, this.#assembler);
    this.#statements = new StatementEvents(options, this.#rows.shapes, this.#assembler);
  }

  position(): string {
    return this.#progress.position(this.#assembler.openXa);
  }
  caughtUp(): boolean {
    return this.#progress.caughtUp(this.#assembler.atHand?.from);
  }

  /** Closes the files of rows that wait. */
  [Symbol.dispose](): void {
    this.#assembler[Symbol.dispose]();
  }

  /**
   * One event, from its header to its end. Throws CrossfadeError for everything that must stop the stream. A transaction that
   * does not fit into memory takes its time: then it answers a promise, and until that is settled the next event must wait and
   * the bytes of this one must stay as they are.
   */
  event(b: Buffer, from: number, end: number): void | Promise<void> {
    try {
      const slow = this.#event(b, from, end);
      return slow?.then(
        () => this.#clock.arrived(),
        (error: unknown) => {
          throw this.#explained(error);
        },
      );
    } catch (error) {
      throw this.#explained(error);
    }
  }

  #explained(thrown: unknown): unknown {
    const error = isCut(thrown) ? corruptEvent('it is cut', this.#where()) : thrown;
    const transaction = this.#assembler.atHand;
    if (!(error instanceof CrossfadeError) || !transaction) return error;
    // An event that is refused by its type alone was not measured, and it is a part of something larger anyway.
    const alone = this.#insidePayload || (transaction.alone && this.#header.type === queryType);
    return withWayPast(error, { ...transaction, alone, executed: this.#progress.executed, eventEnd: this.#cursor.end });
  }

  #event(b: Buffer, from: number, end: number): void | Promise<void> {
    const header = this.#header;
    header.read(b, from, end);
    const treatment = treatmentOf(header.type);
    const handled = typeof treatment === 'object' && 'handle' in treatment ? treatment : undefined;
    const format = handled?.handle === 'format';
    if (format) this.#checksums = checksumsFollow(b, from, end);
    if (this.#checksums) verifyChecksum(b, from, end);
    this.#locate(handled?.handle);
    const body = from + headerBytes;
    const bodyEnd = this.#checksums || format ? end - checksumBytes : end;
    let slow: Promise<void> | undefined;
    if (handled?.handle === 'rows') this.#readRows(handled.form, b, body, bodyEnd);
    else if (handled) slow = this.#handle(handled.handle, b, body, bodyEnd) ?? undefined;
    else if (treatment !== 'ignore') slow = this.#refuse(header.type) ?? undefined;
    this.#clock.arrived();
    return slow;
  }

  #locate(handle: Handled | undefined): void {
    const { inFile, logPos, size } = this.#header;
    // A dump by GTID begins with a file's head, but no transaction before this place: offsets beyond 32 bits are found from there.
    if (handle !== undefined && beginsTransaction.has(handle)) this.#cursor.atLeast(this.#plan.dumpFrom);
    if (inFile && handle !== 'heartbeat') this.#cursor.advance(this.#header);
    else if (logPos === 0 && this.#assembler.open) this.#cursor.advanceBySize(size);
  }

  /** What lies before the start is of no concern, whatever it is; only its GTID counts. */
  #refuse(type: number): void | Promise<void> {
    const isPassed = this.#assembler.open ? this.#progress.purpose === 'skip' : startLiesAhead(this.#plan, this.#cursor.place);
    if (!isPassed) throw refusedEvent(type, this.#where());
    if (endsTransaction(type) && this.#assembler.atHand?.alone) return this.#assembler.commit();
  }

  readonly #where = (): string => placeText(this.#cursor.place);

  #learn(b: Buffer, body: number, end: number): void {
    const shape = this.#rows.shapes.learn(b, body, end);
    // What is older than the description is read with it all the same: no later one would tell more.
    if (shape.isUndescribed && this.caughtUp()) throw undescribed(shape.name);
  }

  // One switch on purpose: nothing can fall between two.
  #handle(handle: Exclude<Handled, 'rows'>, b: Buffer, body: number, end: number): void | Promise<void> {
    switch (handle) {
      case 'table map':
        return this.#learn(b, body, end);
      case 'gtid':
        this.#expectFlavor('mysql');
        return this.#begin(parseGtidEvent(b, body, end, false));
      case 'anonymous gtid':
        return this.#begin(parseGtidEvent(b, body, end, true));
      case 'tagged gtid':
        this.#expectFlavor('mysql');
        return this.#begin(parseTaggedGtidEvent(b, body, end));
      case 'mariadb gtid': {
        this.#expectFlavor('mariadb');
        const start = parseMariadbGtidEvent(b, body, end, this.#header.serverId);
        return this.#begin(start, start.undecidedAlter);
      }
      case 'query':
        return this.#query(parseQuery(b, body, end, this.#statements.decode));
      case 'compressed query':
        return this.#query(parseCompressedQuery(b, body, end, this.#statements.decode, this.#where));
      case 'load query':
        return this.#query(parseLoadQuery(b, body, end, this.#statements.decode));
      case 'payload':
        return this.#payload(b, body, end);
      case 'xid':
        return this.#assembler.commit();
      case 'xa prepare':
        return this.#assembler.xaPrepare(b[body] === 1);
      case 'rotate':
        return this.#rotate(b, body, end);
      case 'heartbeat':
        return this.#heartbeat();
      case 'previous gtids':
        this.#expectFlavor('mysql');
        return this.#progress.seed(() => parsePreviousGtids(b, body, end));
      case 'gtid list':
        this.#expectFlavor('mariadb');
        // One that the dump thread makes up tells of what it left out, and not of what came before a file.
        if (this.#header.inFile) this.#progress.seed(() => parseGtidList(b, body, end));
        return;
      case 'start encryption':
        // The server decrypts what it sends, and then says that this one is of no concern.
        if (!this.#header.mayBeIgnored) throw unsupportedEvent('START_ENCRYPTION: what follows it cannot be read', decryptRemedy);
        return;
      case 'format':
        this.#fileEnds();
        return this.#progress.formatCame();
    }
  }

  /** GTIDs of one flavor mean nothing in a set of the other. */
  #expectFlavor(flavor: Flavor): void {
    if (flavor !== this.#plan.from.flavor)
      throw corruptEvent('its GTIDs are of another kind of server than the one that is read', this.#where());
  }

  #rotate(b: Buffer, body: number, end: number): void {
    const { file, offset } = parseRotate(b, body, end);
    this.#cursor.enter(file, offset);
    // A file's own ROTATE ends it; the one made for this connection only says where we are.
    this.#fileEnds();
    this.#progress.entered();
  }

  /**
   * A MariaDB server that died while it wrote leaves the file as it was, the beginning of a transaction at its end; what was not
   * written whole was not committed, and its GTID is given again.
   */
  #fileEnds(): void {
    if (!this.#assembler.open) return;
    if (this.#plan.from.flavor !== 'mariadb') throw corruptEvent('a file ends inside a transaction', this.#where());
    if (!this.#assembler.discard())
      throw unreachable('the server was restarted: its binlog ends inside a transaction that we had begun to read');
  }

  mayBeTorn(): boolean {
    return mayEndTorn(this.#plan, this.#cursor.file);
  }

  #begin(start: GroupStart, undecided = false): void {
    const from = this.#cursor.place;
    this.#progress.transactionBegins(start.gtid === '' ? null : start.gtid, from, this.outbox.full);
    this.#statements.undecided = undecided;
    const { epoch, purpose } = this.#progress;
    this.#assembler.begin(start, from, this.#header.serverId, this.#header.timestampSeconds, epoch, purpose === 'deliver');
  }

  #query(query: QueryEvent): void | Promise<void> {
    const header = this.#insidePayload ? this.#inner : this.#header;
    return this.#statements.statement(query, this.#cursor.place, this.#progress.purpose === 'deliver', header.ofTemporaryTable);
  }

  #readRows(form: RowsForm, b: Buffer, body: number, end: number): void {
    this.#rows.rows(form, b, body, end, this.#cursor.at, this.#progress.purpose === 'deliver', this.#where);
  }

  /** Everything inside is at the offset of the payload, and nothing inside has a checksum. */
  #payload(b: Buffer, body: number, end: number): void | Promise<void> {
    const over = () => {
      this.#insidePayload = false;
    };
    this.#insidePayload = true;
    const slow = readPayload(parsePayload(b, body, end), { event: (event) => this.#eventInside(event), room: () => this.room() });
    return slow ? slow.then(over) : over();
  }

  #eventInside(b: Buffer): void | Promise<void> {
    const header = this.#inner;
    header.read(b, 0, b.length);
    const treatment = treatmentOf(header.type);
    if (treatment === 'ignore') return;
    if (treatment && !belongsInside(treatment))
      throw corruptEvent('a compressed transaction holds what cannot be inside one', this.#where());
    if (treatment === undefined || 'stop' in treatment) return this.#refuse(header.type);
    if (treatment.handle === 'rows') return this.#readRows(treatment.form, b, headerBytes, b.length);
    return this.#handle(treatment.handle, b, headerBytes, b.length);
  }

  part(changes: readonly RowChange[], bytes: number): void {
    if (!this.#progress.isProven && this.outbox.full) throw this.#progress.notMet();
    this.outbox.part(changes, bytes);
  }

  end(ended: EndedTransaction, changes: readonly RowChange[], bytes: number): void {
    if (this.#progress.transactionEnded(ended)) this.outbox.commit(changes, bytes);
  }

  room(): Promise<void> | undefined {
    return this.outbox.room();
  }
  predecessor(gtid: string): string | null {
    return this.#progress.predecessor(gtid);
  }

  #heartbeat(): void {
    this.#cursor.skipTo(this.#header.logPos, this.#plan.end);
    if (!this.#progress.serverWaits() || this.#assembler.open) return;
    if (!this.outbox.paused) this.#progress.isIdle(this.#clock.sentUs());
    this.outbox.beat();
  }
}

const beginsTransaction: ReadonlySet<Handled> = new Set(['gtid', 'anonymous gtid', 'tagged gtid', 'mariadb gtid']);
const queryType = 2;
/** A read beyond a buffer's end; those of an engine that runs out of memory or stack have no code. */
const isCut = (thrown: unknown): boolean => thrown instanceof RangeError && 'code' in thrown;
const decryptRemedy =
  'MariaDB decrypts its binlog for its replicas. Look whether something between here and the server passes files on instead.';
