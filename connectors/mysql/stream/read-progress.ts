/** How far reading has come, what the transaction at hand is for, and whether this is still the history that we know. */
import type { CrossfadeError } from '../../../src/core/errors.ts';
import type { BinlogCursor } from './binlog-cursor.ts';
import { diverged, sequenceWentBack } from '../errors.ts';
import { parseExecuted, type ExecutedSet } from '../position/executed.ts';
import type { Place } from '../position/place.ts';
import { positionText, type LastTransaction, type PreparedXa } from '../position/position.ts';
import { isBefore, isBeforeStart, isHeld, Rewound, startLiesAhead, type ReadPlan } from '../position/read-plan.ts';
import { printText } from '../transaction/open-transaction.ts';
import type { EndedTransaction } from '../transaction/transaction-assembler.ts';

/** Only what was never read is delivered; the last transaction is met again; what lies before the start is passed over. */
export type Purpose = 'deliver' | 'prove' | 'skip';

/** A LastTransaction before anybody asks for it as text. */
type LastRead = Omit<LastTransaction, 'print'> & { readonly print: number };

export class ReadProgress {
  readonly #plan: ReadPlan;
  readonly #cursor: BinlogCursor;
  readonly #begun: () => void;
  readonly #gtids: ExecutedSet | null;
  readonly #rewound: Rewound;
  #prove: LastTransaction | null;
  #epoch: number;
  #purpose: Purpose = 'deliver';
  /** The transaction at hand was read before, so its GTID is in the set already. */
  #again = false;
  #committed: { readonly file: string; readonly pos: number; readonly last: LastTransaction | LastRead | null };
  #throughUs: number;
  #hasBegun = false;

  /** `begun` is called once: the history is proven, and what comes may go out. */
  constructor(plan: ReadPlan, cursor: BinlogCursor, begun: () => void) {
    this.#plan = plan;
    this.#cursor = cursor;
    this.#begun = begun;
    this.#gtids = plan.byGtid ? parseExecuted(plan.from.gtid ?? '', plan.from.flavor) : null;
    this.#rewound = new Rewound(plan);
    this.#prove = plan.prove;
    this.#epoch = plan.epoch;
    const { file, pos, last } = plan.from;
    this.#committed = { file, pos, last };
    this.#throughUs = plan.from.throughUs;
  }

  get purpose(): Purpose {
    return this.#purpose;
  }
  get epoch(): number {
    return this.#epoch;
  }
  get throughUs(): number {
    return this.#throughUs;
  }
  /** Everything before the transaction at hand; null where GTIDs are off. */
  get executed(): ExecutedSet | null {
    return this.#gtids;
  }
  get isProven(): boolean {
    return this.#prove === null;
  }

  /**
   * The server's end when we connected lies behind us, which was a transaction's end. `open`: where the transaction at hand
   * begins; what it holds is not all handed on, even where its last event is here already.
   */
  caughtUp(open: Place | undefined): boolean {
    return this.#cursor.file !== '' && !isBefore(open ?? this.#cursor.end, this.#plan.end);
  }

  position(xa: readonly PreparedXa[]): string {
    const { file, pos, last } = this.#committed;
    return positionText({
      flavor: this.#plan.from.flavor,
      uuid: this.#plan.uuid,
      epoch: this.#epoch,
      gtid: this.#gtids?.toString() ?? null,
      file,
      pos,
      last: last && { ...last, print: typeof last.print === 'number' ? printText(last.print) : last.print },
      xa,
      throughUs: this.#throughUs,
    });
  }

  /** Of a file's start: what was executed before it. */
  seed(previous: () => ExecutedSet): void {
    if (this.#plan.seedGtids) this.#gtids?.merge(previous());
  }

  /** FORMAT_DESCRIPTION: the server accepted our position, and without a transaction to prove that is all. */
  formatCame(): void {
    if (!this.#prove && !this.#plan.seedGtids) this.#begin();
  }

  entered(): void {
    const { file, place } = this.#cursor;
    if (!isBeforeStart(this.#plan, place)) this.#committed = { ...this.#committed, file, pos: place.offset };
  }

  /** Sets the purpose of the transaction that begins at `from`. `isFull`: nothing more can wait for the proof. */
  transactionBegins(gtid: string | null, from: Place, isFull: boolean): void {
    const last = this.#prove;
    const passes = gtid !== null && this.#rewound.passes(gtid);
    this.#again = passes || isHeld(this.#plan, gtid, from);
    this.#purpose = 'deliver';
    if (last && (last.gtid === null ? last.file === from.file && last.pos === from.offset : gtid === last.gtid)) this.#purpose = 'prove';
    else if (this.#again || startLiesAhead(this.#plan, from) || this.#isBeforeNewStart(gtid)) this.#purpose = 'skip';
    else if (last && (this.#plan.uuid === this.#plan.from.uuid || isFull)) throw this.notMet();
    else if (!last) this.#begin();
    if (this.#purpose === 'deliver' && gtid !== null) this.#expectNew(gtid);
    const moved = last !== null && (last.file !== from.file || last.pos !== from.offset);
    // The same server's history at other offsets, as after a restored backup: versions must not go back.
    if (this.#purpose === 'prove' && moved && this.#epoch === this.#plan.from.epoch) this.#epoch += 1;
  }

  /** What a new pipeline passes over; its GTIDs are not in the set yet, since they come in order. */
  #isBeforeNewStart(gtid: string | null): boolean {
    return gtid !== null && this.#plan.passUntil?.has(gtid) === true;
  }

  /** On MariaDB a position tells what was read only as long as the sequences of a domain grow. */
  #expectNew(gtid: string): void {
    if (this.#plan.from.flavor !== 'mariadb' || !this.#gtids?.has(gtid)) return;
    throw sequenceWentBack(`GTID ${gtid} behind ${this.#gtids.predecessor(gtid)} of the same domain`);
  }

  /** See PreparedXa and LastTransaction. */
  predecessor(gtid: string): string | null {
    const again = [this.#plan.prove, ...this.#plan.held].find((begin) => begin?.gtid === gtid);
    return again ? again.before : (this.#gtids?.predecessor(gtid) ?? null);
  }

  /** True: its changes go out. */
  transactionEnded({ transaction, from, print }: EndedTransaction): boolean {
    const { gtid } = transaction;
    const before = gtid === null ? null : this.predecessor(gtid);
    const last = { file: from.file, pos: from.offset, gtid, before, print };
    if (this.#purpose === 'prove') {
      if (this.#prove?.print !== printText(print))
        throw diverged(`transaction ${transaction.id} has another content than when it was read`);
      this.#prove = null;
    }
    // On MariaDB an older one would set its domain back.
    if (gtid !== null && (!this.#again || this.#plan.seedGtids)) this.#gtids?.add(gtid);
    if (this.#purpose === 'skip') return false;
    this.#throughUs = Math.max(this.#throughUs, transaction.committedAtUs);
    const behind = this.#cursor.end;
    const stays = this.#purpose === 'prove' && isBeforeStart(this.#plan, behind);
    this.#committed = stays ? { ...this.#committed, last } : { file: behind.file, pos: behind.offset, last };
    if (this.#purpose === 'deliver') return true;
    this.#begin();
    return false;
  }

  /** A heartbeat between transactions; `sentUs`: everything committed before it is here. */
  isIdle(sentUs: number): void {
    this.#throughUs = Math.max(this.#throughUs, sentUs);
  }

  /** Where the server's end is reached, what must be met again can no longer come. Answers whether reading has begun. */
  serverWaits(): boolean {
    if (this.#hasBegun) return true;
    if (isBefore(this.#cursor.end, this.#plan.end)) return false;
    if (this.#prove) throw this.notMet();
    this.#begin();
    return true;
  }

  notMet(): CrossfadeError {
    return diverged(`the last transaction that was read (${this.#prove?.gtid ?? 'by its offset'}) is not where it was`);
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#begun();
  }
}
