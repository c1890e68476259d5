/** Which transactions were executed (or read): a MySQL GTID set, or a MariaDB GTID position. Pure. */
import { GtidSet } from './gtid.ts';
import { MariadbGtids } from './mariadb-gtid.ts';

export type Flavor = 'mysql' | 'mariadb';

/** Only sets of one flavor meet each other: a position names its flavor, and it never changes. */
export interface ExecutedSet {
  readonly empty: boolean;
  /** `gtid` is the one of a transaction that ended. */
  add(gtid: string): void;
  /** Everything of `other` too. */
  merge(other: ExecutedSet): void;
  contains(other: ExecutedSet): boolean;
  has(gtid: string): boolean;
  /**
   * So that a dump brings the transaction again. A MySQL set can leave out a single one; a MariaDB position goes back to
   * `before` (null: nothing of its domain), and what follows it in its domain comes again too.
   */
  remove(gtid: string, before: string | null): void;
  /** What `remove` will want to know once `gtid` was added: on MariaDB the last GTID of its domain, else null. */
  predecessor(gtid: string): string | null;
  copy(): ExecutedSet;
  /** The server's own form. */
  toString(): string;
}

export const parseExecuted = (text: string, flavor: Flavor): ExecutedSet =>
  flavor === 'mariadb' ? MariadbGtids.parse(text) : GtidSet.parse(text);
