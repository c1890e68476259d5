/** A look at a pipeline as text for a person: long words are cut, what matters is wrapped. */
import { numberOf } from '../core/partition.ts';
import type { LogMember, PartTrouble } from '../core/log-state.ts';
import { isSilent } from '../runtime/health.ts';
import { cutTo, type Output, table, tableWidth, wrap } from './output.ts';
import { secondsText } from './run-line.ts';
import { keptOf } from './status-kept.ts';
import type { PartitionSample } from './status-partition.ts';
import type { Trouble } from './status-look.ts';
import type { Sample, ServiceSample } from './status-sample.ts';
import type { Rates } from './status-rates.ts';
import { waitsOf } from './status-waits.ts';

type Paint = Parameters<Output['paint']>[0];

export function statusReport(sample: Sample, rates: Rates, output: Output): string {
  const { source, services, healthy, reasons } = sample;
  const cut = (text: string) => cutTo(output.columns, text);
  const lines = [
    `${output.paint('bold', `pipeline ${sample.pipeline}`)}  ${new Date(sample.atMs).toISOString().slice(0, 19)}Z`,
    cut(`source   ${source.server}`),
  ];
  if (source.error) lines.push(...unreachable(source.error, under, output));
  else lines.push(cut(`${under}at ${source.end ?? 'unknown'}`));
  lines.push(...logLines(sample, rates, output));
  for (const service of services) lines.push('', ...serviceLines(service, sample, rates, output));
  if (healthy) lines.push('', output.paint('green', 'healthy'));
  else lines.push('', ...said('not healthy:', '', 'red', output), ...reasons.flatMap((reason) => said(reason, '  ', undefined, output)));
  return lines.join('\n');
}

const under = '         ';

function logLines({ log, atMs }: Sample, rates: Rates, output: Output): string[] {
  const lines = [cutTo(output.columns, `log      ${log.path}`)];
  if (log.error) return [...lines, ...unreachable(log.error, under, output)];
  // A full disk looks like a frozen process, so it is named first.
  if (log.room) lines.push(...said(`${log.room.code}: ${log.room.message}`, under, 'red', output));
  const life = lifeText('capture', log.leader ? [log.leader] : []);
  lines.push(
    ...said(`${life.text}, ${rateText(rates.capturedPerSecond)}`, under, life.paint, output),
    ...lastTrouble(log.trouble, atMs, under, output),
  );
  if (log.complete)
    lines.push(cutTo(output.columns, `${under}complete ${secondsText(log.complete.ageSeconds)} ago, at ${log.complete.position}`));
  else lines.push(log.start === undefined ? `${under}not started yet` : cutTo(output.columns, `${under}started at ${log.start}`));
  return lines;
}

function serviceLines(service: ServiceSample, { atMs }: Sample, rates: Rates, output: Output): string[] {
  const lines = [`${output.paint('bold', `service ${service.name}`)} (${service.kind})`];
  if (service.members) {
    const life = lifeText('apply', service.members);
    lines.push(...said(life.text, '  ', life.paint, output), ...lastTrouble(service.trouble, atMs, '  ', output));
  }
  if (service.error) {
    lines.push(...unreachable(service.error, '  ', output));
    if (service.isNoted) lines.push(...said(`lag at most ${lagText(service)}, by what it last told the log`, '  ', undefined, output));
    return lines;
  }
  const { [service.name]: perSecond = 0 } = rates.appliedPerSecond;
  const { [service.name]: stillSeconds } = rates.stillSeconds;
  const rate = stillSeconds === undefined ? rateText(perSecond) : `nothing applied in the last ${secondsText(stillSeconds)}`;
  lines.push(...said(`lag ${lagText(service)}, ${rate}`, '  ', undefined, output));
  for (const { text, seconds } of waitsOf(service.partitions))
    lines.push(...said(`${text} since ${secondsText(seconds)}`, '  ', 'yellow', output));
  for (const { text, seconds, isPoison } of keptOf(service.kept ?? []))
    lines.push(
      ...said(`${text}, the oldest for ${secondsText(seconds)} (crossfade quarantine list)`, '  ', isPoison ? 'red' : 'yellow', output),
    );
  const doubts = new Map(service.partitions.flatMap(({ doubt }) => (doubt ? [[doubt.code, doubt.message] as const] : [])));
  for (const [code, message] of doubts) lines.push(...said(`${code}: ${message}`, '  ', 'red', output));
  return [...lines, ...partitionLines(service, rates, output)];
}

function lagText({ lagSeconds, lagChanges }: ServiceSample): string {
  const changes = lagChanges === undefined ? '' : `, ${lagChanges.toLocaleString('en-US')} changes`;
  return `${lagSeconds === undefined ? 'unknown' : secondsText(lagSeconds)}${changes}`;
}

function partitionLines({ name, partitions }: ServiceSample, rates: Rates, output: Output): string[] {
  const row = ({ partition, tables, nextOffset, endOffset, lagSeconds, lagChanges, doubt }: PartitionSample) => [
    `${tables.join(', ')} #${numberOf(partition)}`,
    // Behind the last change there may be marks of the log, which nobody applies.
    lagChanges === 0 && doubt === undefined ? Math.max(nextOffset, endOffset) : nextOffset,
    endOffset,
    lagChanges,
    lagSeconds === undefined ? '-' : secondsText(lagSeconds),
    rates.partitionsPerSecond[name]?.[partition] ?? 0,
  ];
  const text = table([['table', 'applied', 'end', 'behind', 'lag', '/s'], ...partitions.map(row)], tableWidth(output) - 2);
  return text.split('\n').map((line) => `  ${line}`);
}

const roles = { capture: ['captured by', 'nobody captures'], apply: ['applied by', 'nobody applies'] } as const;

/** `applied by pid 7 on db1`, `pid 7 on db1 shows no sign of life for 30 s`, `nobody applies`. */
function lifeText(role: keyof typeof roles, members: readonly LogMember[]): { readonly text: string; readonly paint?: Paint } {
  const [by, nobody] = roles[role];
  const silent = members.filter(isSilent).map(({ who, silentSeconds }) => `${who} shows no sign of life for ${secondsText(silentSeconds)}`);
  const living = members.filter((member) => !isSilent(member)).map(({ who }) => who);
  if (members.length === 0) return { text: nobody, paint: 'yellow' };
  const text = [...(living.length > 0 ? [`${by} ${living.join(' and ')}`] : []), ...silent].join('; ');
  return silent.length > 0 ? { text, paint: 'red' } : { text };
}

function lastTrouble(trouble: PartTrouble | undefined, atMs: number, indent: string, output: Output): string[] {
  if (!trouble) return [];
  const age = secondsText(Math.max(0, atMs - trouble.sinceMs) / 1000);
  return said(`last: ${trouble.code} ${age} ago: ${trouble.message}`, indent, 'red', output);
}

const unreachable = ({ code, message }: Trouble, indent: string, output: Output) => [
  ...said(`unreachable or broken: ${message}`, indent, 'red', output),
  `${indent}${code}`,
];

/** Wrapped at spaces, a word that is longer than the line broken; painted afterwards, because colours have no width. */
function said(text: string, indent: string, paint: Paint | undefined, output: Output): string[] {
  const lines = wrap(text, output.columns, indent)
    .split('\n')
    .flatMap((line) => broken(line, output.columns));
  return paint === undefined ? lines : lines.map((line) => output.paint(paint, line));
}

function broken(line: string, columns: number): string[] {
  if (line.length <= columns) return [line];
  return [line.slice(0, columns), ...broken(line.slice(columns), columns)];
}

const rateText = (perSecond: number) => `${perSecond.toLocaleString('en-US')} records/s`;
