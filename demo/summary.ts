import type { Verdict } from './compare.ts';
import type { LagMeter } from './lag-meter.ts';
import { count, milliseconds } from './screen.ts';
import type { WorkloadCounts } from './workload.ts';

export interface Outcome {
  readonly seconds: number;
  readonly counts: WorkloadCounts;
  readonly restarts: number;
  readonly meters: Readonly<Record<string, LagMeter>>;
  readonly drainSeconds: number;
  readonly verdicts: readonly Verdict[];
}

export const isEqual = (verdicts: readonly Verdict[]) => verdicts.length > 0 && verdicts.every(({ differing }) => differing.length === 0);

/** The last thing that a timed demo says: at most 60 columns. */
export function summaryLines({ seconds, counts, restarts, meters, drainSeconds, verdicts }: Outcome): string[] {
  const lines = [
    '',
    `${count(counts.changes)} changes in ${count(counts.transactions)} transactions in ${count(seconds)} s, ${count(counts.changes / Math.max(1, seconds))} a second;`,
    `${count(counts.rollbacks)} transactions were rolled back and must not be seen.`,
    ...(restarts > 0 ? [`crossfade was started again ${restarts} time${restarts === 1 ? '' : 's'}.`] : []),
    ...Object.entries(meters).flatMap(([target, meter]) => lagLines(target, meter)),
    ...(isEqual(verdicts) ? [`Everything had arrived ${drainSeconds.toFixed(1)} s after the last commit.`] : []),
    '',
    row('table', 'in', 'MySQL', 'target', 'equal'),
    ...verdicts.map(({ table, target, sourceRows, targetRows, differing }) =>
      row(table, target, count(sourceRows), count(targetRows), differing.length === 0 ? 'yes' : `NO: ${count(differing.length)}`),
    ),
    '',
  ];
  for (const { table, target, differing } of verdicts) {
    if (differing.length > 0)
      lines.push(`${table} in ${target} differs at key ${differing.slice(0, 3).join(', ')}${differing.length > 3 ? ', …' : ''}`);
  }
  lines.push(
    isEqual(verdicts) ? 'Equal: every row of every table, compared in full.' : 'DIFFERENT: the targets do not hold what MySQL holds.',
  );
  return lines;
}

/** A start that anybody would notice is named, since the percentiles leave it out. */
const shortStartSeconds = 1;

function lagLines(target: string, meter: Pick<LagMeter, 'overall' | 'start'>): string[] {
  const start = meter.start();
  if (start === undefined) return [`Lag to ${target}: nothing measured.`];
  const p50 = meter.overall(0.5);
  const p99 = meter.overall(0.99);
  if (p50 === undefined || p99 === undefined) return [`Lag to ${target}: never caught up, oldest ${milliseconds(start.longestMs)}.`];
  const figures = `Commit to visible in ${target}: p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`;
  const { seconds = 0, longestMs } = start;
  if (seconds < shortStartSeconds) return [`${figures}.`];
  return [`${figures},`, `  from second ${Math.ceil(seconds)} on; before, up to ${milliseconds(longestMs)}.`];
}

const row = (table: string, target: string, source: string, found: string, equal: string) =>
  `${table.padEnd(13)}${target.padEnd(10)}${source.padStart(10)}${found.padStart(10)}  ${equal}`;
