/** Refused changes as text: masked, unless values were asked for by name. */
import type { ColumnSchema, Row } from '../core/change.ts';
import type { QueuedChange, QueuedDetail, QueueOutcome } from '../core/quarantine-port.ts';
import { cellJson, rowJson } from '../core/row-json.ts';
import { type Output, plural, table, tableWidth, wrap } from './output.ts';
import { secondsText } from './run-line.ts';

type Listed = QueuedChange & { readonly service: string };

export function listText(changes: readonly Listed[], nowMs: number, output: Output): string {
  if (changes.length === 0) return 'nothing is held, and nothing is in quarantine';
  const rows = changes.map(({ service, id, state, source, key, op, behind, code, firstSeenMs }) => [
    service,
    id,
    code ?? '-',
    secondsText(Math.max(0, (nowMs - firstSeenMs) / 1000)),
    behind,
    state,
    op,
    source,
    key.slice(0, 12),
  ]);
  const reasons = [...new Set(changes.flatMap(({ reason }) => reason ?? []))].slice(0, 10);
  // A narrow terminal cuts at the right: first what decides what to do.
  const lines = table([['service', 'id', 'code', 'age', 'behind', 'state', 'change', 'table', 'key'], ...rows], tableWidth(output));
  return [lines, '', ...reasons.map((reason) => wrap(reason, output.columns))].join('\n');
}

export function changeText(change: QueuedDetail, withValues: boolean, output: Output): string {
  const { id, state, source, target, partition, key, op, version, transactionId, committedAtUs, firstSeenMs, behind, code, reason } =
    change;
  const lines = [
    `${output.paint('bold', `change ${id}`)}: ${op} of ${source}, ${state}${behind > 0 ? `, ${plural(behind, 'later change')} of its key behind it` : ''}`,
    `target       ${target}`,
    `key          ${key.slice(0, 12)} (a digest)`,
    `position     ${partition}, version ${version}`,
    `transaction  ${transactionId}, committed ${new Date(committedAtUs / 1000).toISOString()}`,
    `first seen   ${new Date(firstSeenMs).toISOString()}`,
    ...(reason === undefined ? [] : [wrap(`reason       ${code}: ${reason}`, output.columns)]),
    'columns',
    ...change.event.schema.columns.map((column) => `  ${columnText(column, change, withValues)}`),
  ];
  return [...lines, ...(withValues ? [] : ['values are shown with --values'])].join('\n');
}

function columnText({ name, type }: ColumnSchema, { event }: QueuedDetail, withValues: boolean): string {
  const key = event.schema.key.includes(name) ? ', key' : '';
  const cell = (row: Row | undefined) => (row === undefined ? undefined : cellJson(row[name] ?? null));
  const [before, after] = imagesOf(event).map(cell);
  const isNull = (after ?? before) === 'null' ? ', NULL' : '';
  if (!withValues) return `${name}: ${type}${key}${isNull}`;
  return `${name}: ${type}${key}: ${[before, after].filter((text) => text !== undefined).join(' → ')}`;
}

function imagesOf(event: QueuedDetail['event']): [Row | undefined, Row | undefined] {
  const before = event.op === 'update' || event.op === 'delete' ? event.before : undefined;
  return [before, event.op === 'delete' || event.op === 'truncate' ? undefined : event.after];
}

/** Values as the log spells them: integers of any size stay exact. */
export function changeJson({ event, ...change }: QueuedDetail, withValues: boolean): string {
  const columns = event.schema.columns.map(({ name, kind, type }) => ({ name, kind, type, key: event.schema.key.includes(name) }));
  const head = JSON.stringify({ ...change, columns });
  if (!withValues) return head;
  const names = event.schema.columns.map(({ name }) => name);
  const [before, after] = imagesOf(event).map((row) => (row === undefined ? 'null' : rowJson(names, row)));
  return `${head.slice(0, -1)},"before":${before},"after":${after}}`;
}

export function outcomeText(outcomes: readonly (QueueOutcome & { readonly id: string })[], output: Output): string {
  if (outcomes.length === 0) return 'nothing to retry';
  return outcomes
    .map(({ id, applied, left, code, reason }) =>
      left === 0
        ? `${id}: applied${applied > 1 ? `, and ${plural(applied - 1, 'later change')} of its key` : ''}`
        : wrap(`${id}: still refused, ${plural(left, 'change')} kept. ${code}: ${reason}`, output.columns),
    )
    .join('\n');
}

/** What is gone for ever with this change. */
export function lossText({ id, op, source, key, behind, state }: QueuedDetail): string {
  const what = {
    insert: 'the row is never added',
    update: 'the row keeps its older values',
    delete: 'the row stays in the target',
    read: 'the row is never added',
  }[op];
  const rest =
    behind > 0
      ? `, unless ${plural(behind, 'later change')} of its key, tried right after it, can be applied`
      : state === 'behind'
        ? ', unless another change of its key is applied'
        : ', until the source changes it again';
  return `Change ${id} is the ${op} of a row of ${source} (key ${key.slice(0, 12)}). Without it ${what}${rest}: the target then differs from the source there.`;
}
