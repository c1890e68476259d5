/** What history.ts decides and the reader does. */
import type { LastTransaction, MysqlPosition } from './position.ts';
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
