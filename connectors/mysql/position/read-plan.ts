/** What plan-read.ts decides and the reader does. */
import type { ExecutedSet } from './executed.ts';
import { fileNumber, type LastTransaction, type MysqlPosition, type PreparedXa } from './position.ts';
import type { Place } from './place.ts';

/** Where reading goes on, as plan-read.ts decided. */
export interface ReadPlan {
  readonly from: MysqlPosition;
  /** The server that is read. */
  readonly uuid: string;
  readonly epoch: number;
  /** Our GTID set counts; else file and offset do. */
  readonly byGtid: boolean;
  /** The set is not known yet: it is collected from the file's start. */
  readonly seedGtids: boolean;
  /** Must be met again, with the same content, before anything goes out. */
  readonly prove: LastTransaction | null;
  /** XA transactions of the position that were not ended: they lie before it, and their rows are read again and held. */
  readonly held: readonly PreparedXa[];
  /**
   * MariaDB: the dump went back in the domains of these GTIDs. Up to and with each, everything in its domain was read before,
   * but for what is in `held`; see Rewound.
   */
  readonly skipUntil: readonly string[];
  /**
   * A new pipeline begins behind this; what comes of it is read only for XA transactions that are prepared and not ended.
   * Needed where reading goes by GTID; else `from` is the place.
   */
  readonly passUntil?: ExecutedSet;
  /** Where the dump begins by set, unless GTIDs are off or not known yet (`seedGtids`). */
  readonly dumpGtids: string;
  /** Where it begins by place; also by set where that is known (else file ''): nothing that lies before it is sent. */
  readonly dumpFrom: Place;
  /** The server's end when we connected: beyond it `prove` can no longer come. */
  readonly end: Place;
}

export function isBefore(place: Place, other: Place): boolean {
  const number = fileNumber(place.file);
  const otherNumber = fileNumber(other.file);
  return number < otherNumber || (number === otherNumber && place.offset < other.offset);
}

/** MariaDB: a file that the server no longer writes may be one that it could not end, with a transaction that was never committed. */
export const mayEndTorn = ({ from, end }: ReadPlan, file: string): boolean =>
  from.flavor === 'mariadb' && fileNumber(file) < fileNumber(end.file);

/** Read before, by file and offset; they mean nothing on another server. */
export function isBeforeStart({ from, uuid }: ReadPlan, place: Place): boolean {
  return from.file !== '' && uuid === from.uuid && isBefore(place, { file: from.file, offset: from.pos });
}

/** Reading began in front of the start, which is found by file and offset, and this place is before it. */
export const startLiesAhead = (plan: ReadPlan, place: Place): boolean => (!plan.byGtid || plan.seedGtids) && isBeforeStart(plan, place);

/** Whether this transaction is one whose rows are held until its XA COMMIT comes. By GTID where it had one when it was read. */
export const isHeld = ({ held }: ReadPlan, gtid: string | null, place: Place): boolean =>
  held.some((xa) => (xa.gtid === null ? xa.file === place.file && xa.pos === place.offset : xa.gtid === gtid));

/** MariaDB: which transactions come again because the dump went back in their domain. */
export class Rewound {
  readonly #lastOf: Map<string, string>;
  constructor({ skipUntil }: ReadPlan) {
    this.#lastOf = new Map(skipUntil.map((gtid) => [domainOf(gtid), gtid]));
  }

  /** Asked once for each transaction, in order. */
  passes(gtid: string): boolean {
    const domain = domainOf(gtid);
    const last = this.#lastOf.get(domain);
    if (last === gtid) this.#lastOf.delete(domain);
    return last !== undefined;
  }
}

const domainOf = (gtid: string): string => gtid.slice(0, gtid.indexOf('-'));
