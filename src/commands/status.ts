/** `crossfade status`: two looks at the pipeline a second apart, and what changed between them. */
import { setTimeout as pause } from 'node:timers/promises';
import { loadConfig } from '../config.ts';
import type { PartitionId } from '../core/log-port.ts';
import { makeLogger } from '../runtime/observe.ts';
import type { ExitCode, Invocation } from './command.ts';
import { statusReport } from './status-report.ts';
import { type Sample, takeSample } from './status-sample.ts';

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
  // The second look does not wait for the end of the first, which a server that hangs draws out.
  let earlier = takeSample(config, logger);
  for (let everyMs = 1000; ; everyMs = 2000) {
    await rest(everyMs, signal);
    if (signal.aborted && watch) return 0;
    const [before, now] = await Promise.all([earlier, takeSample(config, logger)]);
    const rates = ratesOf(before, now);
    if (flags.on('json')) output.out(`${JSON.stringify({ ...now, ...rates })}\n`);
    else output.out(`${watch && output.live ? '\u001b[2J\u001b[H' : ''}${statusReport(now, rates, output)}\n`);
    if (!watch) return now.healthy ? 0 : 1;
    earlier = Promise.resolve(now);
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
