/** Does the process turn, does every part of it run, and what is it that does not? Pure: what HTTP and alerts say. */
import type { LogMember, LogState, PartTrouble } from '../core/log-state.ts';
import type { Totals } from './observe.ts';

/** Signs of life come every second; so many without one, and a process is frozen, suspended, or cannot write them. */
const silentAfterSeconds = 5;

export const isSilent = ({ silentSeconds }: LogMember): boolean => silentSeconds > silentAfterSeconds;

/** A thread that posts nothing for so many ticks of the main thread is stuck; ticks stop with us, so our own sleep blames nobody. */
const stuckAfterTicks = 10;

export interface ThreadLife {
  readonly name: string;
  /** Seconds that the main thread was awake and heard nothing. */
  readonly silentTicks: number;
}

export interface Verdict {
  readonly ok: boolean;
  readonly reasons: readonly string[];
}
const verdict = (reasons: readonly string[]): Verdict => ({ ok: reasons.length === 0, reasons });

/** That it is asked at all shows that the main thread turns. */
export function liveness(threads: readonly ThreadLife[]): Verdict {
  return verdict(stuck(threads));
}

export interface ReadinessQuestion {
  /** The parts of this process: `capture`, `apply orders`. */
  readonly parts: readonly string[];
  readonly totals: Pick<Totals, 'states'>;
  readonly threads: readonly ThreadLife[];
  readonly log: LogState | undefined;
  /** This process, as the log names it (`pid 7 on db1`). */
  readonly self: string;
}

/** Ready: capture streams, or stands by for a leader that lives; every apply has claimed its partitions. */
export function readiness({ parts, totals, threads, log, self }: ReadinessQuestion): Verdict {
  const reasons = parts.flatMap((part) => {
    const state = totals.states[part];
    if (state === undefined) return [`${part}: starting`];
    if (state.state === 'running') return [];
    if (part === 'capture' && state.state !== 'failed' && standsBy(state.code, log, self)) return [];
    return [`${part}: ${state.state}${state.code === undefined ? '' : ` (${state.code})`}`];
  });
  return verdict([...reasons, ...stuck(threads)]);
}

/** One that has won the election and is still taking over is not its own standby: nobody captures yet. */
function standsBy(code: string | undefined, log: LogState | undefined, self: string): boolean {
  const another = code === undefined || code === 'LOG_HELD' || code === 'LOG_FENCED';
  const leader = log?.leader;
  return another && leader !== undefined && !isSilent(leader) && !isProcess(leader.who, self);
}

/** Whether `who` of a LogMember is this process; of a leader it tells the term too. */
const isProcess = (who: string, self: string): boolean => who === self || who.startsWith(`${self},`);

function stuck(threads: readonly ThreadLife[]): string[] {
  return threads
    .filter(({ silentTicks }) => silentTicks >= stuckAfterTicks)
    .map(({ name, silentTicks }) => `thread ${name}: stuck for ${silentTicks} s`);
}

/** What is dead on the way to this service, as far as it is known here; codes and parts, nothing of the data. */
export function troublesOf(service: string, { states }: Pick<Totals, 'states'>, log: LogState | undefined, lookAgeMs: number): string[] {
  const apply = `apply ${service}`;
  const own = ['capture', apply].flatMap((part) => {
    const state = states[part];
    return state === undefined || state.state === 'running' ? [] : [`${part}: ${state.code ?? state.state}`];
  });
  if (log === undefined || lookAgeMs > silentAfterSeconds * 1000) return [...new Set([...own, 'log: does not answer'])];
  const members = log.members.get(service) ?? [];
  const told = [
    ...(log.leader === undefined ? ['capture: nobody captures'] : silent('capture', [log.leader])),
    // Between two tries nobody is a member: what keeps them from it is told below.
    ...(members.length === 0 && !isTriedAgain(log.troubles.get(apply)) ? [`${apply}: nobody applies`] : silent(apply, members)),
    ...['capture', apply].flatMap((part) => {
      const trouble = log.troubles.get(part);
      return trouble ? [`${part}: ${trouble.code}`] : [];
    }),
    ...(log.room?.level === 'error' ? [`log: ${log.room.code}`] : []),
  ];
  return [...new Set([...own, ...told])];
}

/**
 * While the log does not answer, processes cannot tell each other who has alerted: one of those who were there at the last
 * look does, and of those who never saw the log whoever applies the service.
 */
export function speaksBlind(service: string, self: string, { states }: Pick<Totals, 'states'>, log: LogState | undefined): boolean {
  if (log === undefined) return states[`apply ${service}`] !== undefined;
  const living = (log.members.get(service) ?? []).filter((member) => !isSilent(member)).map(({ who }) => who);
  const [first = log.leader?.who ?? self] = living.sort();
  return isProcess(first, self);
}

/** Such errors a process waits out: between two tries it is no member of its group, and who asks from outside cannot tell it from one that ended. */
export const isTriedAgain = (trouble: PartTrouble | undefined): boolean => trouble?.fault === 'retry';

const silent = (part: string, members: readonly LogMember[]) =>
  members.filter(isSilent).map(({ who }) => `${part}: ${who} shows no sign of life`);
