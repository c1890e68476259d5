/** Everything that would stop a sink or bend a value, found at once, each with the statement that mends it. */
import { tableName, type TableSchema } from '../../src/core/change.ts';
import { CrossfadeError, type ErrorCode } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import { hasUniqueKey, readTable, type TargetTable } from './catalog.ts';
import { checkForeignKeys } from './check-foreign-keys.ts';
import { fitOf, isWorthWarning } from './compatibility.ts';
import { addColumnStatement, addKeyStatement, createTableStatement, postgresType } from './ddl.ts';
import { quote, quotedTarget, targetOf, targetText, type TargetName } from './identifiers.ts';
import { createProgressStatement, createSchemaStatement, progressTableExists } from './progress.ts';
import type { Session } from './session.ts';

export interface CheckSubject {
  readonly service: string;
  readonly mappings: readonly Mapping[];
  /** `schemas[i]`: what mapping i's rows look like behind its transforms. */
  readonly schemas: readonly (TableSchema | undefined)[];
  readonly user: string;
  readonly database: string;
}

/** Never throws for what it looks for: also a server that cannot be reached is a finding. */
export async function checkTarget(open: () => Promise<Session>, subject: CheckSubject): Promise<readonly Finding[]> {
  const where = `service ${subject.service}`;
  try {
    await using session = await open();
    const findings = [...(await checkServer(session, where)), ...(await checkProgress(session, where, subject))];
    for (const [index, mapping] of subject.mappings.entries()) {
      findings.push(...(await checkMapping(session, subject, mapping, subject.schemas[index])));
    }
    return [...findings, ...sharedTargets(subject, where)];
  } catch (error) {
    if (!(error instanceof CrossfadeError)) throw error;
    return [{ level: 'error', code: error.code, where, message: error.message, fix: error.remedy }];
  }
}

const finding = (level: Finding['level'], code: ErrorCode, where: string, message: string, fix?: string): Finding => ({
  level,
  code,
  where,
  message,
  ...(fix === undefined ? {} : { fix }),
});

async function checkServer(session: Session, where: string): Promise<Finding[]> {
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

/** The table of progress: there and usable, or to be created by us, or by somebody who may. */
async function checkProgress(session: Session, where: string, { user, database }: CheckSubject): Promise<Finding[]> {
  const role = quote(user);
  if (await progressTableExists(session)) {
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
  const grants = `GRANT USAGE ON SCHEMA crossfade TO ${role};\nGRANT SELECT, INSERT, UPDATE, DELETE ON crossfade.progress TO ${role};`;
  const fix = `-- in database ${quote(database)}, as its owner:\n${schema}${createProgressStatement}\n${grants}`;
  return [finding('error', 'TARGET_PRIVILEGE', where, `user ${user} may not create crossfade.progress, where the progress is kept`, fix)];
}

async function checkMapping(
  session: Session,
  subject: CheckSubject,
  mapping: Mapping,
  schema: TableSchema | undefined,
): Promise<Finding[]> {
  const where = `service ${subject.service}: ${tableName(mapping.source)}`;
  // The source's own check reports a table that it does not have.
  if (!schema) return [];
  const name = targetOf(mapping);
  const schemaRows = await session.query(
    'looking for a schema',
    `SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1`,
    [name.schema],
  );
  if (schemaRows.length === 0) {
    const fix = `CREATE SCHEMA ${quote(name.schema)};\n${createTableStatement(quotedTarget(name), schema)}\n${grantsFor(name, subject.user)}`;
    return [finding('error', 'TARGET_TABLE_MISSING', where, `the target has no schema ${name.schema}`, fix)];
  }
  if (schemaRows[0]?.[0] !== 't') {
    return [
      finding('error', 'TARGET_PRIVILEGE', where, `user ${subject.user} may not use schema ${name.schema}`, grantsFor(name, subject.user)),
    ];
  }
  const table = await readTable(session, name);
  if (!table) {
    const fix = createTableStatement(quotedTarget(name), schema);
    return [finding('error', 'TARGET_TABLE_MISSING', where, `the target has no table ${targetText(name)}`, fix)];
  }
  return [
    ...(await checkPrivileges(session, subject, name, where)),
    ...checkColumns(table, schema, where),
    ...checkExtraColumns(table, schema, where),
    ...checkKey(table, schema, where),
    ...(await checkForeignKeys(session, name, where)),
  ];
}

function grantsFor(name: TargetName, user: string): string {
  return `GRANT USAGE ON SCHEMA ${quote(name.schema)} TO ${quote(user)};\nGRANT SELECT, INSERT, UPDATE, DELETE ON ${quotedTarget(name)} TO ${quote(user)};`;
}

async function checkPrivileges(session: Session, { user, database }: CheckSubject, name: TargetName, where: string): Promise<Finding[]> {
  const rows = await session.query(
    'asking for privileges',
    `SELECT string_agg(p, ', '), has_database_privilege(current_database(), 'TEMP')
     FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p WHERE NOT has_table_privilege($1::regclass, p)`,
    [quotedTarget(name)],
  );
  const [missing, mayStage] = rows[0] ?? [];
  const findings: Finding[] = [];
  if (missing)
    findings.push(
      finding(
        'error',
        'TARGET_PRIVILEGE',
        where,
        `user ${user} lacks ${missing} on ${targetText(name)}`,
        `GRANT ${missing} ON ${quotedTarget(name)} TO ${quote(user)};`,
      ),
    );
  if (mayStage !== 't') {
    findings.push(
      finding(
        'warning',
        'TARGET_PRIVILEGE',
        where,
        `user ${user} may not create temporary tables: large batches are slower`,
        `GRANT TEMPORARY ON DATABASE ${quote(database)} TO ${quote(user)};`,
      ),
    );
  }
  return findings;
}

function checkColumns(table: TargetTable, schema: TableSchema, where: string): Finding[] {
  return schema.columns.flatMap((source): Finding[] => {
    const target = table.columns.get(source.name);
    const alter = `ALTER TABLE ${quotedTarget(table.name)} ALTER COLUMN ${quote(source.name)}`;
    if (!target) {
      return [
        finding(
          'error',
          'TARGET_COLUMN_MISSING',
          where,
          `${targetText(table.name)} has no column "${source.name}"`,
          addColumnStatement(quotedTarget(table.name), source),
        ),
      ];
    }
    const both = `column "${source.name}" is ${source.type} in the source and ${target.shownType} in the target`;
    if (target.generated) {
      const isKey = schema.key.includes(source.name);
      const message = `column "${source.name}" is generated by the target and is ${isKey ? 'part of the key' : 'not written'}`;
      return [finding(isKey ? 'error' : 'warning', 'TARGET_COLUMN_TYPE', where, message, isKey ? `${alter} DROP EXPRESSION;` : undefined)];
    }
    const fit = fitOf(source, target);
    const retype = `${alter} TYPE ${postgresType(source)};`;
    if (fit.fit === 'lossy') return [finding('error', 'TARGET_COLUMN_TYPE', where, `${both}: ${fit.why}`, retype)];
    const findings = isWorthWarning(source, fit) ? [finding('warning', 'TARGET_COLUMN_TYPE', where, `${both}: ${fit.why}`, retype)] : [];
    if (source.nullable && target.notNull) {
      findings.push(
        finding(
          'warning',
          'TARGET_COLUMN_TYPE',
          where,
          `column "${source.name}" can be NULL in the source and must not be in the target`,
          `${alter} DROP NOT NULL;`,
        ),
      );
    }
    return findings;
  });
}

/** Columns that only the target has keep their defaults; one without a default would refuse every new row. */
function checkExtraColumns(table: TargetTable, schema: TableSchema, where: string): Finding[] {
  const known = new Set(schema.columns.map(({ name }) => name));
  return [...table.columns.values()]
    .filter((column) => !known.has(column.name) && column.notNull && !column.hasDefault && !column.generated)
    .map((column) =>
      finding(
        'error',
        'TARGET_CONSTRAINT',
        where,
        `column "${column.name}" of ${targetText(table.name)} is not in the source, must not be NULL and has no default`,
        `ALTER TABLE ${quotedTarget(table.name)} ALTER COLUMN ${quote(column.name)} DROP NOT NULL;`,
      ),
    );
}

function checkKey(table: TargetTable, schema: TableSchema, where: string): Finding[] {
  if (hasUniqueKey(table, schema.key)) return [];
  // Without all of its columns the key cannot be made; those are findings of their own.
  if (!schema.key.every((name) => table.columns.has(name))) return [];
  const message = `${targetText(table.name)} has no primary key or unique constraint on exactly (${schema.key.join(', ')})`;
  return [finding('error', 'TARGET_KEY_MISSING', where, message, addKeyStatement(quotedTarget(table.name), schema.key))];
}

/** Two tables into one target: rows with equal keys would overwrite each other. */
function sharedTargets({ mappings }: CheckSubject, where: string): Finding[] {
  const seen = new Map<string, Mapping>();
  return mappings.flatMap((mapping) => {
    const name = quotedTarget(targetOf(mapping));
    const other = seen.get(name);
    seen.set(name, mapping);
    if (!other) return [];
    return [
      finding(
        'warning',
        'TARGET_SETTING',
        where,
        `${tableName(other.source)} and ${tableName(mapping.source)} are both written to ${targetText(targetOf(mapping))}: rows with equal keys overwrite each other`,
      ),
    ];
  });
}
