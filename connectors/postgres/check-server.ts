/** The server as a whole, and the table of progress in it. */
import type { Finding } from '../../src/core/ports.ts';
import type { CheckSubject } from './check.ts';
import { finding } from './finding.ts';
import { quote } from './identifiers.ts';
import { addArrivalStatement, createProgressStatement, createSchemaStatement, progressTable } from './progress.ts';
import { createQuarantineStatement, envelopeBytesStatement, quarantineTable, quarantineTableExists } from './quarantine-table.ts';
import type { Session } from './session.ts';

export async function checkServer(session: Session, where: string): Promise<Finding[]> {
  const rows = await session.query(
    'reading the server’s settings',
    `SELECT pg_is_in_recovery(), current_setting('server_encoding'), current_setting('fsync'), current_setting('full_page_writes'),
            current_setting('server_version_num')::int >= 120000, (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit')`,
  );
  const [standby, encoding, fsync, fullPages, recent, synchronous] = rows[0] ?? [];
  const findings: Finding[] = [];
  if (standby === 't')
    findings.push(
      finding('error', 'TARGET_SETTING', where, 'the server is a standby and takes no writes', 'Name the primary in the service’s URL.'),
    );
  if (recent !== 't')
    findings.push(finding('error', 'TARGET_SETTING', where, 'the server is older than PostgreSQL 12', 'Upgrade the server.'));
  if (encoding !== 'UTF8') {
    findings.push(
      finding(
        'warning',
        'TARGET_SETTING',
        where,
        `the database's encoding is ${encoding}: texts that it lacks are refused`,
        `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;`,
      ),
    );
  }
  if (fsync !== 'on' || fullPages !== 'on') {
    findings.push(
      finding(
        'warning',
        'TARGET_SETTING',
        where,
        'a power cut can damage the server: fsync or full_page_writes is off',
        'ALTER SYSTEM SET fsync = on; ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();',
      ),
    );
  }
  if (synchronous === 'off') {
    findings.push(
      finding(
        'warning',
        'TARGET_SETTING',
        where,
        'synchronous_commit is off: this service’s own sessions turn it on, other writers’ last commits can be lost',
        'ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();',
      ),
    );
  }
  return findings;
}

/** The tables of progress and of quarantine: there and usable, or to be created by us, or by somebody who may. */
export async function checkProgress(session: Session, where: string, subject: CheckSubject): Promise<Finding[]> {
  const findings = await checkProgressTable(session, where, subject);
  return findings.length > 0 ? findings : checkQuarantine(session, where, subject);
}

async function checkProgressTable(session: Session, where: string, { user, database }: CheckSubject): Promise<Finding[]> {
  const role = quote(user);
  const found = await progressTable(session);
  if (found === 'old' && !(await ownsTable(session, 'progress'))) {
    const message = `crossfade.progress is as an earlier release made it, and user ${user} is not its owner`;
    return [
      finding('error', 'TARGET_PRIVILEGE', where, message, `-- in database ${quote(database)}, as its owner:\n${addArrivalStatement}`),
    ];
  }
  if (found !== 'missing') {
    const rows = await session.query(
      'asking for privileges',
      `SELECT has_schema_privilege('crossfade', 'USAGE') AND (SELECT bool_and(has_table_privilege(c.oid, p)) FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
         WHERE n.nspname = 'crossfade' AND c.relname = 'progress')`,
    );
    if (rows[0]?.[0] === 't') return [];
    const grants = `GRANT USAGE ON SCHEMA crossfade TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON crossfade.progress TO ${role};`;
    return [finding('error', 'TARGET_PRIVILEGE', where, `user ${user} may not keep its progress in crossfade.progress`, grants)];
  }
  const rows = await session.query(
    'asking for privileges',
    `SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'crossfade') THEN has_schema_privilege('crossfade', 'CREATE')
            ELSE has_database_privilege(current_database(), 'CREATE') END, EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'crossfade')`,
  );
  if (rows[0]?.[0] === 't') return [];
  const schema = rows[0]?.[1] === 't' ? '' : `${createSchemaStatement}\n`;
  const tables = (await quarantineTableExists(session))
    ? createProgressStatement
    : `${createProgressStatement}\n${createQuarantineStatement}`;
  const grants = `GRANT USAGE ON SCHEMA crossfade TO ${role};\nGRANT SELECT, INSERT, UPDATE, DELETE ON crossfade.progress, crossfade.quarantine TO ${role};`;
  const fix = `-- in database ${quote(database)}, as its owner:\n${schema}${tables}\n${grants}`;
  return [finding('error', 'TARGET_PRIVILEGE', where, `user ${user} may not create crossfade.progress, where the progress is kept`, fix)];
}

/** Behind a table of progress that is as it should be, or that we may create; then this one too. */
async function checkQuarantine(session: Session, where: string, { user, database }: CheckSubject): Promise<Finding[]> {
  const grants = `GRANT SELECT, INSERT, UPDATE, DELETE ON crossfade.quarantine TO ${quote(user)};`;
  const found = await quarantineTable(session);
  if (found === 'old' && !(await ownsTable(session, 'quarantine'))) {
    const message = `crossfade.quarantine is as an earlier release made it, and user ${user} is not its owner`;
    return [
      finding('error', 'TARGET_PRIVILEGE', where, message, `-- in database ${quote(database)}, as its owner:\n${envelopeBytesStatement}`),
    ];
  }
  if (found !== 'missing') {
    const rows = await session.query(
      'asking for privileges',
      `SELECT bool_and(has_table_privilege(c.oid, p)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p WHERE n.nspname = 'crossfade' AND c.relname = 'quarantine'`,
    );
    if (rows[0]?.[0] === 't') return [];
    const message = `user ${user} may not keep refused changes in crossfade.quarantine`;
    return [finding('error', 'TARGET_PRIVILEGE', where, message, grants)];
  }
  const rows = await session.query(
    'asking for privileges',
    `SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'crossfade'`,
  );
  if (rows.length === 0 || rows[0]?.[0] === 't') return [];
  const fix = `-- in database ${quote(database)}, as its owner:\n${createQuarantineStatement}\n${grants}`;
  return [
    finding('error', 'TARGET_PRIVILEGE', where, `user ${user} may not create crossfade.quarantine, where refused changes are kept`, fix),
  ];
}

async function ownsTable(session: Session, table: 'progress' | 'quarantine'): Promise<boolean> {
  const rows = await session.query(
    'asking for privileges',
    `SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'crossfade' AND c.relname = $1`,
    [table],
  );
  return rows[0]?.[0] === 't';
}
