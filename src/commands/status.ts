/** `crossfade status`: two looks at the pipeline a second apart, and what changed between them. */
import { setTimeout as pause } from 'node:timers/promises';
import { loadConfig } from '../config.ts';
import type { PartitionId } from '../core/ports.ts';
import { makeLogger } from '../runtime/observe.ts';
import type { ExitCode, Invocation } from './command.ts';
import { type Output, table } from './output.ts';
import { secondsText } from './run-line.ts';
import { type Sample, type ServiceSample, takeSample, type Trouble } from './status-sample.ts';

export interface Rates {
  /** Records a second into the log, and out of it for each service. */
  readonly capturedPerSecond: number;
  readonly appliedPerSecond: Readonly<Record<string, number>>;
  /** The same by service and partition. */
  readonly partitionsPerSecond: Readonly<Record<string, Readonly<Record<PartitionId, number>>>>;
}

export async function status({ flags, output, signal }: Invocation): Promise<ExitCode> {
  const config = loadConfig(flags.text('config') ?? 'crossfade.yaml');
  const logger = makeLogger({ level: 'silent', format: 'json', write: () => {} });
  const watch = flags.on('watch');
  let before = await takeSample(config, logger);
  for (let everyMs = 1000; ; everyMs = 2000) {
    await rest(everyMs, signal);
    if (signal.aborted && watch) return 0;
    const now = await takeSample(config, logger);
    const rates = ratesOf(before, now);
    if (flags.on('json')) output.out(`${JSON.stringify({ ...now, ...rates })}\n`);
    else output.out(`${watch && output.live ? '\u001b[2J\u001b[H' : ''}${statusReport(now, rates, output)}\n`);
    if (!watch) return 0;
    before = now;
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, { signal });
  } catch {
    // Stopped by the person who watches.
  }
}

export function ratesOf(before: Sample, now: Sample): Rates {
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1000);
  const perSecond = (from: number, to: number) => Math.max(0, Math.round((to - from) / seconds));
  const rates = now.services.map(({ name, applied, partitions, error }) => {
    const earlier = before.services.find((each) => each.name === name);
    const known = earlier !== undefined && !earlier.error && !error;
    const parts = partitions.map(({ partition, nextOffset }) => {
      const from = earlier?.partitions.find((each) => each.partition === partition)?.nextOffset;
      return [partition, from === undefined ? 0 : perSecond(from, nextOffset)] as const;
    });
    return { name, rate: known ? perSecond(earlier.applied, applied) : 0, parts: Object.fromEntries(known ? parts : []) };
  });
  return {
    capturedPerSecond: now.log.error || before.log.error ? 0 : perSecond(before.log.records, now.log.records),
    appliedPerSecond: Object.fromEntries(rates.map(({ name, rate }) => [name, rate])),
    partitionsPerSecond: Object.fromEntries(rates.map(({ name, parts }) => [name, parts])),
  };
}

export function statusReport(sample: Sample, rates: Rates, output: Output): string {
  const { source, log, services } = sample;
  const cut = (text: string) => (text.length > output.columns ? `${text.slice(0, Math.max(1, output.columns - 1))}…` : text);
  const lines = [
    `${output.paint('bold', `pipeline ${sample.pipeline}`)}  ${new Date(sample.atMs).toISOString().slice(0, 19)}Z`,
    cut(`source   ${source.server}`),
  ];
  if (source.error) lines.push(...trouble(source.error, output));
  else lines.push(cut(`         at ${source.end ?? 'unknown'}`));
  lines.push(cut(`log      ${log.path}`));
  if (log.error) lines.push(...trouble(log.error, output));
  else {
    lines.push(
      cut(
        `         ${log.leader === undefined ? output.paint('yellow', 'nobody captures') : `captured by ${log.leader}`}, ${rateText(rates.capturedPerSecond)}`,
      ),
    );
    if (log.complete) lines.push(cut(`         complete ${secondsText(log.complete.ageSeconds)} ago, at ${log.complete.position}`));
    else lines.push(log.start === undefined ? '         not started yet' : cut(`         started at ${log.start}`));
  }
  for (const service of services) lines.push('', ...serviceLines(service, rates, output));
  return lines.join('\n');
}

function serviceLines(service: ServiceSample, rates: Rates, output: Output): string[] {
  const title = output.paint('bold', `service ${service.name}`);
  if (service.error) return [`${title} (${service.kind})`, ...trouble(service.error, output)];
  const lag =
    service.lagSeconds === undefined
      ? 'lag unknown'
      : `lag ${secondsText(service.lagSeconds)}, ${(service.lagChanges ?? 0).toLocaleString('en-US')} changes`;
  const perSecond = rates.appliedPerSecond[service.name] ?? 0;
  const rows = service.partitions.map(({ partition, tables, nextOffset, endOffset, lagSeconds, lagChanges }) => {
    const number = partition.slice(partition.lastIndexOf('#'));
    return [
      `${tables.join(', ')} ${number}`,
      nextOffset,
      endOffset,
      lagChanges,
      lagSeconds === undefined ? '-' : secondsText(lagSeconds),
      rates.partitionsPerSecond[service.name]?.[partition] ?? 0,
    ];
  });
  const text = table([['table', 'applied', 'end', 'behind', 'lag', '/s'], ...rows], output.columns - 2);
  return [`${title} (${service.kind})`, `  ${lag}, ${rateText(perSecond)}`, ...text.split('\n').map((line) => `  ${line}`)];
}

const rateText = (perSecond: number) => `${perSecond.toLocaleString('en-US')} records/s`;

const trouble = ({ code, message }: Trouble, output: Output) => [
  `         ${output.paint('red', 'unreachable or broken')}: ${message}`,
  `         ${code}`,
];
