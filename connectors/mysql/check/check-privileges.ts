/** What the user may do, against what reading needs. */
import { tableName, type TableId } from '../../../src/core/change.ts';
import type { Finding } from '../../../src/core/ports.ts';
import { serverName, type Metadata } from '../server/metadata.ts';
import type { MysqlSettings } from '../config.ts';
import { finding, quoted } from './finding.ts';

/** To stream the binlog, and to ask where it ends. MariaDB has its own name for the second since 10.5. */
const needed = { mysql: ['REPLICATION SLAVE', 'REPLICATION CLIENT'], mariadb: ['REPLICATION SLAVE', 'BINLOG MONITOR'] } as const;

/** SHOW GRANTS names what this user has; `ALL PRIVILEGES` and `*.*` cover the rest. */
export async function checkPrivileges(metadata: Metadata, settings: MysqlSettings, tables: readonly TableId[]): Promise<Finding[]> {
  const { flavor } = await metadata.version();
  const [me] = await metadata.rows('SELECT CURRENT_USER() AS me, CURRENT_ROLE() AS roles');
  const [user = '', host = '%'] = String(me?.['me']).split(/@(?=[^@]*$)/);
  const account = `'${user}'@'${host}'`;
  const roles = String(me?.['roles'] ?? 'NONE');
  // MariaDB tells what the role of the session gives by itself.
  const plain = flavor === 'mariadb' || roles === 'NONE';
  const rows = await metadata.rows(plain ? 'SHOW GRANTS' : `SHOW GRANTS FOR CURRENT_USER() USING ${roles}`);
  const texts = rows.map((row) => String(Object.values(row)[0]));
  const grants = texts.flatMap((text) => grantOf(text, 'GRANT'));
  const revoked = texts.flatMap((text) => grantOf(text, 'REVOKE'));
  const globally = (privilege: string) => grants.some((grant) => grant.on === '*.*' && grant.has(privilege));
  const missing = needed[flavor].filter((privilege) => !globally(privilege));
  const found = missing.map((privilege) =>
    finding('error', 'SOURCE_PRIVILEGE', `${user}@${serverName(settings)} lacks ${privilege}`, `GRANT ${privilege} ON *.* TO ${account};`),
  );
  for (const { database, table } of tables) {
    const places = ['*.*', `${quoted(database)}.*`, `${quoted(database)}.${quoted(table)}`];
    // MySQL's partial revokes take a database out of a grant on everything.
    const isRevoked = revoked.some((grant) => grant.has('SELECT') && sameScope(grant.on, `${quoted(database)}.*`));
    const granted = grants.filter((grant) => grant.has('SELECT') && !(isRevoked && grant.on === '*.*'));
    if (granted.some((grant) => places.some((place) => sameScope(grant.on, place)))) continue;
    const name = tableName({ database, table });
    found.push(
      finding(
        'error',
        'SOURCE_PRIVILEGE',
        `${user} may not read ${name}`,
        `GRANT SELECT ON ${quoted(database)}.${quoted(table)} TO ${account};`,
        `source: ${name}`,
      ),
    );
  }
  return found;
}

/** In a grant on a database, `_` and `%` are wild and a backslash takes that away. */
function sameScope(granted: string, wanted: string): boolean {
  if (granted === wanted) return true;
  if (!granted.endsWith('.*')) return false;
  const pattern = granted
    .replace(/[.*+?^${}()|[\]]/g, '\\$&')
    .replace(/(?<!\\)_/g, '.')
    .replace(/(?<!\\)%/g, '.*')
    .replace(/\\\\?([_%])/g, '$1');
  return new RegExp(`^${pattern}$`).test(wanted);
}

interface Grant {
  readonly on: string;
  has(privilege: string): boolean;
}

function grantOf(text: string, kind: 'GRANT' | 'REVOKE'): Grant[] {
  if (!text.startsWith(`${kind} `)) return [];
  const parts = /^[A-Z]+ (.*) ON (?:TABLE )?(\*\.\*|`(?:[^`]|``)+`\.(?:\*|`(?:[^`]|``)+`)) (?:TO|FROM) /.exec(text);
  if (!parts) return [];
  const names = new Set((parts[1] as string).split(', '));
  return [{ on: parts[2] as string, has: (privilege) => names.has(privilege) || names.has('ALL PRIVILEGES') }];
}
