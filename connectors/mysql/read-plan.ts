/** What history.ts decides and the reader does. */
import { fileNumber, type LastTransaction, type MysqlPosition } from './position.ts';
import type { Tables } from './shapes.ts';
import type { Place } from './transaction.ts';

/** Where reading goes on, as history.ts decided. */
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
  /** Where the dump begins: by set, or by place. */
  readonly dumpGtids: string;
  readonly dumpFrom: Place;
  /** The server's end when we connected: beyond it `prove` can no longer come. */
  readonly end: Place;
}

export interface ReaderOptions {
  readonly tables: Tables;
  readonly untransactional: ReadonlySet<string>;
  /** Captured tables (`db.table`) without a primary key: another key tells their rows apart. */
  readonly unkeyed: ReadonlySet<string>;
  readonly partBytes: number;
  /** The server sends a heartbeat this long after its last event or heartbeat. */
  readonly heartbeatUs: number;
  /** The server's clock minus ours, in microseconds. */
  readonly clockOffsetUs: number;
}

export function isBefore(place: Place, other: Place): boolean {
  const number = fileNumber(place.file);
  const otherNumber = fileNumber(other.file);
  return number < otherNumber || (number === otherNumber && place.offset < other.offset);
}

/** Read before, by file and offset; they mean nothing on another server. */
export function isBeforeStart({ from, uuid }: ReadPlan, place: Place): boolean {
  return from.file !== '' && uuid === from.uuid && isBefore(place, { file: from.file, offset: from.pos });
}

/** Reading began in front of the start, which is found by file and offset, and this place is before it. */
export const startLiesAhead = (plan: ReadPlan, place: Place): boolean => (!plan.byGtid || plan.seedGtids) && isBeforeStart(plan, place);
