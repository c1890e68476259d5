/** The position that the configuration names as the start of a new pipeline. */
import type { MysqlSettings } from '../config.ts';
import type { Metadata } from './metadata.ts';
import { purged } from '../errors.ts';
import { parseExecuted } from '../position/executed.ts';
import type { MysqlPosition } from '../position/position.ts';

/** Whatever was committed before the place that a person names, nothing is known to be handed on: time 0. */
export async function namedPosition(
  metadata: Metadata,
  start: NonNullable<MysqlSettings['start']>,
  end: MysqlPosition,
): Promise<MysqlPosition> {
  if ('gtid' in start) return { ...end, gtid: parseExecuted(start.gtid, end.flavor).toString(), file: '', pos: 0, throughUs: 0 };
  const { file, offset } = start;
  if (end.flavor === 'mysql') return { ...end, gtid: null, file, pos: offset, throughUs: 0 };
  // MariaDB can say which GTIDs lie before a place, so that reading goes on by GTID from the first.
  const [row] = await metadata.rows('SELECT BINLOG_GTID_POS(?, ?) AS gtids', [file, offset]);
  if (typeof row?.['gtids'] !== 'string') throw purged(`it has no ${file}, or no transaction ends there at ${offset}`);
  return { ...end, gtid: parseExecuted(row['gtids'], 'mariadb').toString(), file, pos: offset, throughUs: 0 };
}
