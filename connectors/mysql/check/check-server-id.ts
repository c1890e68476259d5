/** Whether the configured server id is free. */
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { Finding } from '../../../src/core/ports.ts';
import type { MysqlSettings } from '../config.ts';
import type { Metadata } from '../server/metadata.ts';
import { accountOf, finding } from './finding.ts';

export async function checkServerId(metadata: Metadata, settings: MysqlSettings): Promise<Finding[]> {
  const { serverId } = settings;
  if (serverId === undefined) return [];
  const [own] = await metadata.rows('SELECT @@GLOBAL.server_id AS id');
  if (Number(own?.['id']) === serverId) {
    return [
      finding(
        'error',
        'SOURCE_SERVER_ID_TAKEN',
        `serverId ${serverId} is the source's own server_id`,
        'remove "serverId" under "source", or take another number',
      ),
    ];
  }
  const replicas = await replicaIds(metadata);
  if (replicas.includes(serverId)) {
    return [
      finding(
        'error',
        'SOURCE_SERVER_ID_TAKEN',
        `serverId ${serverId} is taken by a replica of the source`,
        'remove "serverId" under "source", or take another number',
      ),
    ];
  }
  return await checkReaders(metadata, serverId, replicas.length);
}

/** Replicas register and are listed with their ids; a capture such as this one is only seen reading, without its id. */
async function checkReaders(metadata: Metadata, serverId: number, registered: number): Promise<Finding[]> {
  const sessions = await metadata.rows('SHOW PROCESSLIST');
  const readers = sessions.filter((row) => String(row['Command']).startsWith('Binlog Dump'));
  if (readers.length <= registered) return [];
  const hosts = [...new Set(readers.map((row) => String(row['Host']).replace(/:\d+$/, '')))].join(', ');
  const grants = await metadata.rows('SHOW GRANTS');
  const seesAll = grants.some((row) => /^GRANT (.*\bPROCESS\b|ALL PRIVILEGES).* ON \*\.\* /.test(String(Object.values(row)[0])));
  const others = seesAll ? '' : `; without PROCESS (GRANT PROCESS ON *.* TO ${await accountOf(metadata)}) only those of this user are seen`;
  const text = `${readers.length} sessions read the binlog (from ${hosts}), and the server does not tell whether one has serverId ${serverId}: it would be ended${others}`;
  const fix =
    'is it this pipeline\'s own capture, there is nothing to do; is it another one with this number, remove "serverId" under "source", or take another number';
  return [finding('warning', 'SOURCE_SERVER_ID_TAKEN', text, fix)];
}

async function replicaIds(metadata: Metadata): Promise<number[]> {
  try {
    const { flavor } = await metadata.version();
    return (await metadata.rows(flavor === 'mysql' ? 'SHOW REPLICAS' : 'SHOW REPLICA HOSTS')).map((row) =>
      Number(row['Server_Id'] ?? row['Server_id']),
    );
  } catch (error) {
    // Without REPLICATION SLAVE (MariaDB: REPLICATION MASTER ADMIN, too much to ask for), or before 8.0.22: the privilege check says what is needed, and this is only a hint.
    if (error instanceof CrossfadeError && error.fault !== 'retry') return [];
    throw error;
  }
}
