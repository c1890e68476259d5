/** What a server has executed, and what of it is still in its binlog. MariaDB's own questions are in mariadb-state.ts. */
import type { Metadata } from './metadata.ts';
import type { ExecutedSet } from '../position/executed.ts';
import { GtidSet } from '../position/gtid.ts';
import { mariadbState } from './mariadb-state.ts';
import type { MysqlPosition } from '../position/position.ts';
import { binlogFiles, noBinlog, type ServerState } from './state-questions.ts';

export async function serverState(metadata: Metadata): Promise<ServerState> {
  const { flavor } = await metadata.version();
  return flavor === 'mariadb' ? await mariadbState(metadata) : await mysqlState(metadata);
}

async function mysqlState(metadata: Metadata): Promise<ServerState> {
  // Before anything else: what was committed until then is in the answers.
  const { nowUs, offsetUs } = await metadata.clock();
  const [first] = await metadata.rows(
    `SELECT @@GLOBAL.server_uuid AS uuid, @@GLOBAL.gtid_mode AS mode, @@GLOBAL.gtid_purged AS purged, @@GLOBAL.log_bin AS log`,
  );
  if (!first || Number(first['log']) !== 1) throw noBinlog();
  const [status] = await metadata.rows(await metadata.statusStatement());
  if (!status) throw noBinlog();
  const executed: ExecutedSet = GtidSet.parse(String(status['Executed_Gtid_Set']));
  const purged = GtidSet.parse(String(first['purged']));
  return {
    flavor: 'mysql',
    uuid: String(first['uuid']),
    gtidMode: first['mode'] === 'ON',
    executed,
    has: (set) => executed.contains(set),
    reaches: (set) => set.contains(purged),
    files: await binlogFiles(metadata),
    end: { file: String(status['File']), offset: Number(status['Position']) },
    nowUs,
    clockOffsetUs: offsetUs,
  };
}

/** The server's end now, as a position of a new pipeline. */
export function endPosition(state: ServerState): MysqlPosition {
  return {
    flavor: state.flavor,
    uuid: state.uuid,
    epoch: 0,
    gtid: state.gtidMode ? state.executed.toString() : null,
    file: state.end.file,
    pos: state.end.offset,
    last: null,
    xa: [],
    throughUs: state.nowUs,
  };
}
