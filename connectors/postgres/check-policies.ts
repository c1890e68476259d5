/** What the configuration says about odd values, held against the table: names that are none, policies that cannot act. */
import type { ColumnKind, ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { TargetColumn, TargetTable } from './catalog.ts';
import { finding } from './finding.ts';
import { quote, quotedTarget } from './identifiers.ts';
import type { ColumnPolicies, ValuePolicies } from './config.ts';

const dated = new Set(['date', 'datetime', 'timestamp']);

const moments = new Set(['date', 'timestamp', 'timestamptz']);
const textual = new Set<ColumnKind>(['string', 'json', 'enum', 'set']);

/** Whether a setting has a say in such a column. */
const acts: Readonly<Record<keyof ColumnPolicies, (kind: ColumnKind, target: TargetColumn) => boolean>> = {
  nul: (kind) => textual.has(kind),
  zeroDate: (kind, { base }) => dated.has(kind) && moments.has(base),
  timeRange: (kind, { base }) => kind === 'time' && base === 'time',
  geometry: (kind) => kind === 'geometry',
};

export function checkPolicies(table: TargetTable, schema: TableSchema, policies: ValuePolicies, where: string): Finding[] {
  const names = new Set(schema.columns.map(({ name }) => name));
  const unknown = policies.named
    .filter((name) => !names.has(name))
    .map((name) => finding('error', 'TARGET_COLUMN_MISSING', where, `\`values.columns\` names "${name}", which the table does not have`));
  const powerless = schema.columns.flatMap((source): Finding[] => {
    const target = table.columns.get(source.name);
    if (!target || target.generated) return [];
    return [
      ...idle(source, target, policies, where),
      ...(schema.key.includes(source.name) ? ofKey(source, target, policies, where) : makingNull(table, source, target, policies, where)),
    ];
  });
  return [...unknown, ...powerless];
}

const warning = (where: string, message: string, fix?: string) => finding('warning', 'TARGET_COLUMN_TYPE', where, message, fix);

/** Settings of this column alone that can never act; those of the table are meant for others. */
function idle({ name, kind, type }: ColumnSchema, target: TargetColumn, policies: ValuePolicies, where: string): Finding[] {
  const settings = policies.own(name).filter((setting) => !acts[setting](kind, target));
  if (settings.length === 0) return [];
  const named = settings.map((setting) => `\`${setting}\``).join(' and ');
  const message = `\`values.columns\` gives column "${name}" ${named}, which has no effect from ${type} to ${target.shownType}`;
  return [warning(where, message)];
}

function ofKey({ name, kind }: ColumnSchema, target: TargetColumn, policies: ValuePolicies, where: string): Finding[] {
  const { zeroDate, timeRange, nul } = policies.of(name);
  const isWanted =
    (acts.zeroDate(kind, target) && zeroDate !== 'stop') ||
    (acts.timeRange(kind, target) && timeRange !== 'stop') ||
    (policies.own(name).includes('nul') && nul !== 'stop');
  if (!isWanted) return [];
  const message = `column "${name}" is part of the key, where \`values\` alters nothing, since two rows could become one: what it would alter stops the service`;
  return [warning(where, message)];
}

function makingNull(
  table: TargetTable,
  { name, kind }: ColumnSchema,
  target: TargetColumn,
  policies: ValuePolicies,
  where: string,
): Finding[] {
  const { zeroDate, timeRange } = policies.of(name);
  const isMade = (acts.zeroDate(kind, target) && zeroDate === 'null') || (acts.timeRange(kind, target) && timeRange === 'null');
  if (!isMade || !target.notNull) return [];
  const message = `column "${name}" must not be NULL in the target, so what \`values\` would make NULL stops the service`;
  return [warning(where, message, `ALTER TABLE ${quotedTarget(table.name)} ALTER COLUMN ${quote(name)} DROP NOT NULL;`)];
}

/** NULL in such a column may be what a policy made. */
export function makesNull(kind: ColumnKind, { zeroDate, timeRange }: ColumnPolicies): boolean {
  return (dated.has(kind) && zeroDate === 'null') || (kind === 'time' && timeRange === 'null');
}
