/** Whether the configured server id is free. */
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { Finding } from '../../../src/core/ports.ts';
import type { MysqlSettings } from '../config.ts';
import type { Metadata } from '../server/metadata.ts';
import { finding } from './finding.ts';

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
  // Only replicas that registered are listed; another capture shows itself when the server ends the older of the two.
  const replicas = await replicaIds(metadata);
  return replicas.includes(serverId)
    ? [
        finding(
          'error',
          'SOURCE_SERVER_ID_TAKEN',
          `serverId ${serverId} is taken by a replica of the source`,
          'remove "serverId" under "source", or take another number',
        ),
      ]
    : [];
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
