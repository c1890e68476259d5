/** What both flavors of server are asked for before they are read. */
import type { Metadata } from './metadata.ts';
import { setting } from '../errors.ts';
import type { ExecutedSet, Flavor } from '../position/executed.ts';
import type { Place } from '../position/place.ts';

export interface ServerState {
  readonly flavor: Flavor;
  /** See MysqlPosition. */
  readonly uuid: string;
  /** Always so on MariaDB. */
  readonly gtidMode: boolean;
  /** On MariaDB the last transaction of each domain in the binlog. */
  readonly executed: ExecutedSet;
  /** It executed all of `set`. */
  has(set: ExecutedSet): boolean;
  /** MariaDB without gtid_strict_mode: the GTID of `set` behind which its own server wrote a lower one, if that is why `has` fails. */
  wentBack?(set: ExecutedSet): string | undefined;
  /** Everything behind `set` is still in its binlog. */
  reaches(set: ExecutedSet): boolean;
  /** Binlog files by name, with their sizes. */
  readonly files: ReadonlyMap<string, number>;
  /** Not before what `executed` tells. */
  readonly end: Place;
  /** The server's clock. */
  readonly nowUs: number;
  /** The server's clock minus ours. */
  readonly clockOffsetUs: number;
}

export async function binlogFiles(metadata: Metadata): Promise<ReadonlyMap<string, number>> {
  const files = await metadata.rows('SHOW BINARY LOGS');
  return new Map(files.map((row) => [String(row['Log_name']), Number(row['File_size'])]));
}

export const noBinlog = () =>
  setting('the server writes no binlog', 'start the server with log_bin set (MySQL has it on by default, skip-log-bin turns it off).');
