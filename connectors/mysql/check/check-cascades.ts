/**
 * Rows that a foreign key deletes or changes by itself are written to the binlog only where the server enforces foreign
 * keys above the storage engine (9.6 and newer, unless innodb_native_foreign_keys turns that off).
 */
import { tableName } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { Finding } from '../../../src/core/ports.ts';
import type { TableDescription } from '../server/information-schema.ts';
import { isAtLeast, type Metadata } from '../server/metadata.ts';
import { finding, quoted } from './finding.ts';

export async function checkCascades(metadata: Metadata, tables: readonly TableDescription[]): Promise<Finding[]> {
  if (tables.length === 0) return [];
  const version = await metadata.version();
  const native = (await metadata.variables(['innodb_native_foreign_keys'])).get('innodb_native_foreign_keys');
  if (version.flavor === 'mysql' && isAtLeast(version, 9, 6) && native !== undefined && !/^(ON|1)$/.test(native)) return [];
  await metadata.rows('SET SESSION sql_quote_show_create = ON');
  const findings: Finding[] = [];
  for (const { id } of tables) {
    const name = tableName(id);
    for (const key of cascadesIn(await definition(metadata, `${quoted(id.database)}.${quoted(id.table)}`))) {
      findings.push(
        finding(
          'error',
          'SOURCE_SETTING',
          `foreign key ${key} of ${name} changes rows by CASCADE or SET NULL, and this server does not write those to its binlog`,
          `drop the rule, or let the application make these changes`,
          `source: ${name}`,
        ),
      );
    }
  }
  return findings;
}

/** MariaDB shows the rules in information_schema only to those who may do more than SELECT, but the definition to all who may. */
async function definition(metadata: Metadata, table: string): Promise<string> {
  try {
    const [row] = await metadata.rows(`SHOW CREATE TABLE ${table}`);
    return String(row?.['Create Table'] ?? '');
  } catch (error) {
    // That the user may not read the table has been found already.
    if (error instanceof CrossfadeError && error.code === 'SOURCE_PRIVILEGE') return '';
    throw error;
  }
}

/** Names of the foreign keys with such a rule, of SHOW CREATE TABLE: a line each. MariaDB does not double a backtick in their names. */
export function cascadesIn(definition: string): string[] {
  const keys = definition.matchAll(/^ *CONSTRAINT `(.+?)` FOREIGN KEY \((.*)$/gm);
  return Array.from(keys, ([, name = '', rest = '']) => ({ name: name.replaceAll('``', '`'), rest }))
    .filter(({ rest }) => endsInRule.test(rest))
    .map(({ name }) => name);
}

/** The rules end the line, where no name can stand; one that is not told is the restricting one. */
const endsInRule = / ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL)(?: ON UPDATE [A-Z ]+)?,?$/;
