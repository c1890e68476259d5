/** The one line at the bottom of the terminal while a pipeline runs. */
import type { ServiceLag } from '../runtime/lag-watch.ts';
import type { Totals } from '../runtime/observe.ts';

/** From two samples that are a second apart: `capture 1,204/s · orders 1,180/s, lag 0.2 s · storefront waiting TARGET_…, 0/s`. */
export function statusText(before: Totals, now: Totals, lags: readonly ServiceLag[], nowMs: number): string {
  const pieces: string[] = [];
  const capture = now.states['capture'];
  if (capture) {
    const behind =
      now.completedThroughUs === undefined ? '' : `, behind ${secondsText(Math.max(0, nowMs / 1000 - now.completedThroughUs / 1e6))}`;
    pieces.push(`capture ${trouble(capture)}${rate(now.capturedRows - before.capturedRows)}${behind}`);
  }
  const names = new Set([...Object.keys(now.services), ...Object.keys(now.states).flatMap((part) => /^apply (.*)$/.exec(part)?.[1] ?? [])]);
  for (const name of names) {
    const applied = (now.services[name]?.appliedRecords ?? 0) - (before.services[name]?.appliedRecords ?? 0);
    pieces.push(`${name} ${trouble(now.states[`apply ${name}`])}${rate(applied)}${lagText(lags.find(({ service }) => service === name))}`);
  }
  return pieces.join(' · ');
}

const lagText = (lag: ServiceLag | undefined) => (lag?.seconds === undefined ? '' : `, lag ${secondsText(lag.seconds)}`);

/** In front of the figures: a narrow line is cut at its end. */
const trouble = (state: { state: string; code?: string } | undefined) =>
  state === undefined || state.state === 'running' ? '' : `${state.state}${state.code === undefined ? '' : ` ${state.code}`}, `;

const rate = (perSecond: number) => `${Math.max(0, perSecond).toLocaleString('en-US')}/s`;

/** `0.2 s`, `14 s`, `3 min`, `2.5 h`. */
export function secondsText(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
