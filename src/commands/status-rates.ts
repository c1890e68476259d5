/** How fast log and services move, from several looks: a target may take longer for a commit than lies between two of them. */
import type { PartitionId } from '../core/log-port.ts';
import { isSilent } from '../runtime/health.ts';
import type { Sample, ServiceSample } from './status-sample.ts';

export interface Rates {
  /** Records a second into the log, and out of it for each service. */
  readonly capturedPerSecond: number;
  readonly appliedPerSecond: Readonly<Record<string, number>>;
  /** The same by service and partition. */
  readonly partitionsPerSecond: Readonly<Record<string, Readonly<Record<PartitionId, number>>>>;
  /** Of a service that has changes to apply and has not moved: for how long, as far as was looked. */
  readonly stillSeconds: Readonly<Record<string, number>>;
}

/** A service that works at a large commit is watched for so long before it is said to stand still. */
const patienceMs = 5000;

/** `before`: earlier looks, the oldest first; without any, nothing has a rate. */
export function ratesOf(before: readonly Sample[], now: Sample): Rates {
  const last = before.at(-1) ?? now;
  const rates = now.services.map((service) => ({ name: service.name, ...rateOf(service, before, now) }));
  return {
    capturedPerSecond: now.log.error || last.log.error ? 0 : perSecond(last.log.records, now.log.records, secondsBetween(last, now)),
    appliedPerSecond: Object.fromEntries(rates.map(({ name, rate }) => [name, rate])),
    partitionsPerSecond: Object.fromEntries(rates.map(({ name, partitions }) => [name, partitions])),
    stillSeconds: Object.fromEntries(rates.flatMap(({ name, still }) => (still === undefined ? [] : [[name, still]]))),
  };
}

/** Whether it is worth another look before a service that works is called still. */
export function mayStillMove(before: readonly Sample[], now: Sample, { stillSeconds }: Rates): boolean {
  const [first] = before;
  if (first === undefined || now.atMs - first.atMs >= patienceMs) return false;
  return now.services.some(({ name, members = [], trouble }) => {
    const works = trouble === undefined && members.some((member) => !isSilent(member));
    return works && stillSeconds[name] !== undefined;
  });
}

/** Between the last look and now; where nothing moved since but something is to be done, since the last that saw it elsewhere. */
function rateOf(service: ServiceSample, before: readonly Sample[], now: Sample) {
  const looks = before.flatMap((sample) => {
    const found = sample.services.find(({ name }) => name === service.name);
    return found === undefined || found.error ? [] : [{ sample, found }];
  });
  const last = looks.at(-1);
  if (service.error || last === undefined) return { rate: 0, partitions: {} };
  const works = (service.lagChanges ?? 0) > 0;
  const moved = looks.findLast(({ found }) => found.applied !== service.applied);
  const from = works ? (moved ?? last) : last;
  const seconds = secondsBetween(from.sample, now);
  const earlier = new Map(from.found.partitions.map(({ partition, nextOffset }) => [partition, nextOffset]));
  return {
    rate: perSecond(from.found.applied, service.applied, seconds),
    partitions: Object.fromEntries(
      service.partitions.map(({ partition, nextOffset }) => [
        partition,
        perSecond(earlier.get(partition) ?? nextOffset, nextOffset, seconds),
      ]),
    ),
    ...(works && moved === undefined ? { still: secondsBetween((looks[0] ?? last).sample, now) } : {}),
  };
}

const secondsBetween = (before: Sample, now: Sample): number => Math.max(0.001, (now.atMs - before.atMs) / 1000);

/** Whole ones, and below ten with a tenth: one change in three seconds is not none. */
function perSecond(from: number, to: number, seconds: number): number {
  const rate = Math.max(0, (to - from) / seconds);
  return rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate);
}
