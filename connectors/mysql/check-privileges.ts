/** What the user may do, against what reading needs. */
import { tableName, type TableId } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import { serverName, type Metadata } from './connect.ts';
import type { MysqlSettings } from './config.ts';
import { finding, quoted } from './finding.ts';

/** SHOW GRANTS names what this user has, roles included; `ALL PRIVILEGES` and `*.*` cover the rest. */
export async function checkPrivileges(metadata: Metadata, settings: MysqlSettings, tables: readonly TableId[]): Promise<Finding[]> {
  const [me] = await metadata.rows('SELECT CURRENT_USER() AS me, CURRENT_ROLE() AS roles');
  const [user = '', host = '%'] = String(me?.['me']).split(/@(?=[^@]*$)/);
  const account = `'${user}'@'${host}'`;
  const roles = String(me?.['roles'] ?? 'NONE');
  const rows = await metadata.rows(roles === 'NONE' ? 'SHOW GRANTS' : `SHOW GRANTS FOR CURRENT_USER() USING ${roles}`);
  const grants = rows.flatMap((row) => grantOf(String(Object.values(row)[0])));
  const globally = (privilege: string) => grants.some((grant) => grant.on === '*.*' && grant.has(privilege));
  const missing = ['REPLICATION SLAVE', 'REPLICATION CLIENT'].filter((privilege) => !globally(privilege));
  const found = missing.map((privilege) =>
    finding('error', 'SOURCE_PRIVILEGE', `${user}@${serverName(settings)} lacks ${privilege}`, `GRANT ${privilege} ON *.* TO ${account};`),
  );
  for (const { database, table } of tables) {
    const places = ['*.*', `${quoted(database)}.*`, `${quoted(database)}.${quoted(table)}`];
    if (grants.some((grant) => grant.has('SELECT') && places.some((place) => sameScope(grant.on, place)))) continue;
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

function grantOf(text: string): Grant[] {
  const parts = /^GRANT (.*) ON (?:TABLE )?(\*\.\*|`(?:[^`]|``)+`\.(?:\*|`(?:[^`]|``)+`)) TO /.exec(text);
  if (!parts) return [];
  const names = new Set((parts[1] as string).split(', '));
  return [{ on: parts[2] as string, has: (privilege) => names.has(privilege) || names.has('ALL PRIVILEGES') }];
}
