/** What the configuration says about odd values, held against the table: names that are none, policies that cannot act. */
import type { TableSchema } from '../../src/core/change.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { Mapping } from '../../src/core/sink-port.ts';
import type { TargetTable } from './catalog.ts';
import { finding } from './finding.ts';
import { quote, quotedTarget } from './identifiers.ts';
import { valuePolicies } from './config.ts';

const dated = new Set(['date', 'datetime', 'timestamp']);

export function checkPolicies(table: TargetTable, schema: TableSchema, mapping: Mapping, where: string): Finding[] {
  const policies = valuePolicies(mapping.options);
  const names = new Set(schema.columns.map(({ name }) => name));
  const unknown = policies.named
    .filter((name) => !names.has(name))
    .map((name) => finding('error', 'TARGET_COLUMN_MISSING', where, `\`values.columns\` names "${name}", which the table does not have`));
  const powerless = schema.columns.flatMap(({ name, kind }): Finding[] => {
    const { zeroDate, timeRange } = policies.of(name);
    const makesNull = (dated.has(kind) && zeroDate === 'null') || (kind === 'time' && timeRange === 'null');
    if (!makesNull || schema.key.includes(name) || !table.columns.get(name)?.notNull) return [];
    const message = `column "${name}" must not be NULL in the target, so what \`values\` would make NULL stops the service`;
    return [
      finding(
        'warning',
        'TARGET_COLUMN_TYPE',
        where,
        message,
        `ALTER TABLE ${quotedTarget(table.name)} ALTER COLUMN ${quote(name)} DROP NOT NULL;`,
      ),
    ];
  });
  return [...unknown, ...powerless];
}
