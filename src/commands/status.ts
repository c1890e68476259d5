/** `crossfade status`: two looks at the pipeline a second apart, and what changed between them. */
import { setTimeout as pause } from 'node:timers/promises';
import { loadConfig } from '../config.ts';
import { makeLogger } from '../runtime/observe.ts';
import type { ExitCode, Invocation } from './command.ts';
import { mayStillMove, ratesOf } from './status-rates.ts';
import { statusReport } from './status-report.ts';
import { type Sample, takeSample } from './status-sample.ts';

/** While it watches: a target that takes longer for one commit is told as standing still. */
const remembersMs = 60_000;

export async function status({ flags, output, signal }: Invocation): Promise<ExitCode> {
  const config = loadConfig(flags.text('config') ?? 'crossfade.yaml');
  const logger = makeLogger({ level: 'silent', format: 'json', write: () => {} });
  const watch = flags.on('watch');
  // The second look does not wait for the end of the first, which a server that hangs draws out.
  let earlier: readonly Promise<Sample>[] = [takeSample(config, logger)];
  for (let everyMs = 1000; ; everyMs = watch ? 2000 : 1000) {
    await rest(everyMs, signal);
    if (signal.aborted && watch) return 0;
    const [now, ...before] = await Promise.all([takeSample(config, logger), ...earlier]);
    earlier = [...before.filter(({ atMs }) => now.atMs - atMs < remembersMs), now].map((sample) => Promise.resolve(sample));
    const rates = ratesOf(before, now);
    if (!watch && !signal.aborted && mayStillMove(before, now, rates)) continue;
    if (flags.on('json')) output.out(`${JSON.stringify({ ...now, ...rates })}\n`);
    else output.out(`${watch && output.live ? '\u001b[2J\u001b[H' : ''}${statusReport(now, rates, output)}\n`);
    if (!watch) return now.healthy ? 0 : 1;
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, { signal });
  } catch {
    // Stopped by the person who watches.
  }
}
