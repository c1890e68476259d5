/** How much of everything a run of the tests does, and the words for it: a run that does less must not look like one that does all. */

/** What the long run repeats, with more of it. */
export const longer: Readonly<Record<string, string>> = {
  CHAOS_KILLS: '20',
  CHAOS_BULK_ROWS: '200000',
  CHAOS_MINUTES: '10',
  CHAOS_STALL_SECONDS: '600',
  CHAOS_AWAY_SECONDS: '120',
  SIMULATION_HISTORIES: '5000',
  FUZZ_MUTATIONS: '1000000',
  MEMORY_ROWS: '2000000',
  TYPED_VALUES: '10000',
};

/** Each may be set from outside, and then it counts. */
const knobs = [...Object.keys(longer), 'CHAOS_LOGS', 'CHAOS_SEED'];

type Environment = Readonly<Record<string, string | undefined>>;

/** As ` with A=1 B=2 (set from outside: B)`; empty where everything is as it is by default. */
export function extentText(isLong: boolean, environment: Environment): string {
  const set = knobs.filter((name) => environment[name] !== undefined);
  const shown = knobs.filter((name) => set.includes(name) || (isLong && longer[name] !== undefined));
  if (shown.length === 0) return '';
  const values = shown.map((name) => `${name}=${environment[name] ?? longer[name]}`).join(' ');
  return ` with ${values}${set.length > 0 ? ` (set from outside: ${set.join(', ')})` : ''}`;
}

/** A knob's number; throws where it is none, or below `least`: nothing done is not little done. */
export function numberOfKnob(environment: Environment, name: string, fallback: number, least: number): number {
  const text = environment[name];
  const value = text === undefined ? fallback : text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= least)) throw new Error(`${name} is ${JSON.stringify(text)}; it must be a number, ${least} or more`);
  return value;
}
