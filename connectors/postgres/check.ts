/** Everything that would stop a sink or bend a value, found at once, each with the statement that mends it. */
import { tableName, type TableSchema } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import { readTable } from './catalog.ts';
import { checkColumns, checkExtraColumns } from './check-columns.ts';
import { type Carried, checkForeignKeys } from './check-foreign-keys.ts';
import { checkKey } from './check-key.ts';
import { checkLabels } from './check-labels.ts';
import { checkPolicies } from './check-policies.ts';
import { checkProgress, checkServer } from './check-server.ts';
import { checkOldRows } from './check-old-rows.ts';
import { checkNames, checkTableKind, checkWidth } from './check-table.ts';
import { valuePolicies } from './config.ts';
import { createTableStatement, type ExtensionTypes } from './ddl.ts';
import { extensionTypes } from './extensions.ts';
import { finding } from './finding.ts';
import { isTooLong, quote, quotedTarget, targetOf, targetText, type TargetName } from './identifiers.ts';
import type { Session } from './session.ts';

export interface CheckSubject {
  readonly service: string;
  readonly mappings: readonly Mapping[];
  /** `schemas[i]`: what mapping i's rows look like behind its transforms. */
  readonly schemas: readonly (TableSchema | undefined)[];
  readonly user: string;
  readonly database: string;
  readonly partitionsOf: Carried['partitionsOf'];
}

/** One mapping, its rows' shape, and what the database offers. */
interface MappingSubject extends Pick<CheckSubject, 'user' | 'database'> {
  readonly where: string;
  readonly mapping: Mapping;
  readonly schema: TableSchema;
  readonly name: TargetName;
  readonly extensions: ExtensionTypes;
  readonly carried: Carried;
}

/** Never throws for what it looks for: also a server that cannot be reached is a finding. */
export async function checkTarget(open: () => Promise<Session>, subject: CheckSubject): Promise<readonly Finding[]> {
  const { service, mappings, schemas, user, database, partitionsOf } = subject;
  const where = `service ${service}`;
  try {
    await using session = await open();
    const findings = [...(await checkServer(session, where)), ...(await checkProgress(session, where, subject))];
    const extensions = await extensionTypes(session);
    for (const [index, mapping] of mappings.entries()) {
      const schema = schemas[index];
      // The source's own check reports a table that it does not have.
      if (!schema) continue;
      const place = `${where}: ${tableName(mapping.source)}`;
      const carried = { mappings, partitionsOf };
      findings.push(
        ...(await checkMapping(session, { where: place, mapping, schema, name: targetOf(mapping), user, database, extensions, carried })),
      );
    }
    return [...findings, ...sharedTargets(subject, where)];
  } catch (error) {
    if (!(error instanceof CrossfadeError)) throw error;
    return [{ level: 'error', code: error.code, where, message: error.message, fix: error.remedy }];
  }
}

async function checkMapping(session: Session, subject: MappingSubject): Promise<Finding[]> {
  const { where, schema, name, extensions, mapping, carried } = subject;
  const names = checkNames(name, schema, where);
  // Whatever such a name finds in the target is another table.
  if (isTooLong(name.schema) || isTooLong(name.table)) return names;
  const missing = await checkSchema(session, subject);
  if (missing) return [...names, missing];
  const table = await readTable(session, name);
  if (!table) {
    const fix = createTableStatement(quotedTarget(name), schema, extensions);
    const width = checkWidth(undefined, schema, where);
    return [...names, ...width, finding('error', 'TARGET_TABLE_MISSING', where, `the target has no table ${targetText(name)}`, fix)];
  }
  const kind = checkTableKind(table, where);
  if (kind.length > 0) return kind;
  const policies = valuePolicies(mapping.options);
  const privileges = await checkPrivileges(session, subject);
  const mayRead = privileges.every(({ level }) => level !== 'error');
  return [
    ...names,
    ...privileges,
    ...checkColumns(table, schema, where, { extensions, policies }),
    ...(mayRead ? await checkOldRows(session, table, schema, where, policies) : []),
    ...checkExtraColumns(table, schema, where),
    ...checkWidth(table, schema, where),
    ...checkKey(table, schema, where),
    ...checkPolicies(table, schema, policies, where),
    ...(await checkLabels(session, table, schema, where)),
    ...(await checkForeignKeys(session, { name, schema }, where, carried)),
  ];
}

/** The finding that ends the check of a table: its schema is not there, or closed to us. */
async function checkSchema(session: Session, { where, schema, name, user, extensions }: MappingSubject): Promise<Finding | undefined> {
  const rows = await session.query(
    'looking for a schema',
    `SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1`,
    [name.schema],
  );
  if (rows.length === 0) {
    const table = createTableStatement(quotedTarget(name), schema, extensions);
    const fix = `CREATE SCHEMA ${quote(name.schema)};\n${table}\n${grantsFor(name, user)}`;
    return finding('error', 'TARGET_TABLE_MISSING', where, `the target has no schema ${name.schema}`, fix);
  }
  if (rows[0]?.[0] === 't') return undefined;
  return finding('error', 'TARGET_PRIVILEGE', where, `user ${user} may not use schema ${name.schema}`, grantsFor(name, user));
}

function grantsFor(name: TargetName, user: string): string {
  return `GRANT USAGE ON SCHEMA ${quote(name.schema)} TO ${quote(user)};\nGRANT SELECT, INSERT, UPDATE, DELETE ON ${quotedTarget(name)} TO ${quote(user)};`;
}

async function checkPrivileges(session: Session, { user, database, name, where }: MappingSubject): Promise<Finding[]> {
  const rows = await session.query(
    'asking for privileges',
    `SELECT string_agg(p, ', '), has_database_privilege(current_database(), 'TEMP')
     FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p WHERE NOT has_table_privilege($1::regclass, p)`,
    [quotedTarget(name)],
  );
  const [missing, mayStage] = rows[0] ?? [];
  const findings: Finding[] = [];
  if (missing) {
    const grant = `GRANT ${missing} ON ${quotedTarget(name)} TO ${quote(user)};`;
    findings.push(finding('error', 'TARGET_PRIVILEGE', where, `user ${user} lacks ${missing} on ${targetText(name)}`, grant));
  }
  if (mayStage !== 't') {
    const message = `user ${user} may not create temporary tables: large batches are slower`;
    const grant = `GRANT TEMPORARY ON DATABASE ${quote(database)} TO ${quote(user)};`;
    findings.push(finding('warning', 'TARGET_PRIVILEGE', where, message, grant));
  }
  return findings;
}

/** Two tables into one target: rows with equal keys would overwrite each other. */
function sharedTargets({ mappings }: CheckSubject, where: string): Finding[] {
  const seen = new Map<string, Mapping>();
  return mappings.flatMap((mapping) => {
    const name = quotedTarget(targetOf(mapping));
    const other = seen.get(name);
    seen.set(name, mapping);
    if (!other) return [];
    const message = `${tableName(other.source)} and ${tableName(mapping.source)} are both written to ${targetText(targetOf(mapping))}: rows with equal keys overwrite each other, and a TRUNCATE of one stops the service`;
    return [finding('warning', 'TARGET_SETTING', where, message)];
  });
}
