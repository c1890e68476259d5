/** How much of everything a run does: little in `npm test`, all that is promised in `npm run test:long` (test/run.ts). */
import { numberOfKnob } from '../../support/extent.ts';
import type { LogKind } from './log-view.ts';

const number = (name: string, fallback: number, least: number) => numberOfKnob(process.env, name, fallback, least);

/** `CHAOS_KILLS=20 CHAOS_SEED=7 CHAOS_LOGS=kafka …` repeats a run. */
export const seed = number('CHAOS_SEED', Date.now() % 100_000, 0);
/** Kills of each kind of process and server. */
export const kills = number('CHAOS_KILLS', 1, 1);
/** For so long workers come and go. */
export const churnSeconds = number('CHAOS_MINUTES', 0.3, 0.05) * 60;
/** Rows of the one large transaction in the mix: at least so many that it reaches the log in several parts. */
export const bulkRows = number('CHAOS_BULK_ROWS', 40_000, 40_000);
/** For so long a target stands still. */
export const stallSeconds = number('CHAOS_STALL_SECONDS', 16, 16);
/** For so long a server is away. */
export const awaySeconds = number('CHAOS_AWAY_SECONDS', 4, 1);

export const logKinds: readonly LogKind[] = (process.env['CHAOS_LOGS'] ?? 'embedded,kafka').split(',').map((name) => {
  if (name !== 'embedded' && name !== 'kafka') throw new Error(`CHAOS_LOGS names ${name}; it may name embedded and kafka`);
  return name;
});
