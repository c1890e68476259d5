/**
 * What each figure must reach. Rates and times were set on one machine; where this one is slower, they are scaled by how fast the
 * server's own tool is here in the same run. On a faster machine they stay what they are, and memory is scaled on none.
 */
import type { LogKind } from './plan.ts';

/** Rows a second of the tools on the machine of the floors: two cores of an EPYC, MySQL 9.7, PostgreSQL 15. */
const there = { raw: { bulk: 4_700_000, oltp: 280_000 }, upsert: 190_000 } as const;

type SetName = 'bulk' | 'oltp';

const capture = { embedded: { bulk: 250_000, oltp: 120_000 }, kafka: { bulk: 200_000, oltp: 100_000 } } as const;
const apply = { bulk: 110_000, oltp: 90_000 } as const;
const endToEnd = { embedded: 60_000, kafka: 50_000 } as const;
const p99Ms = { embedded: { 1000: 30, 5000: 75 }, kafka: { 1000: 100, 5000: 150 } } as const;

/** Of psql's staging + upsert of the same rows, with progress and deletes. */
const leastOfUpsert = 0.5;
export const leastOfProducer = 0.9;
export const leastOfZongji = 3;
/** Of a process, whatever it does. */
export const rssMbMax = 300;

export const latencyRates = [1000, 5000] as const;
export type LatencyRate = (typeof latencyRates)[number];

const scaled = (floor: number, here: number, of: number) => floor * Math.min(1, here / of);

/** `here`: rows a second of `mysqlbinlog --raw`. */
export const captureFloor = (log: LogKind, set: SetName, here: number) => scaled(capture[log][set], here, there.raw[set]);

/** `here`: rows a second of psql's COPY and upsert. */
export const applyFloor = (set: SetName, here: number) => Math.max(scaled(apply[set], here, there.upsert), leastOfUpsert * here);

/** None was set for bulk. */
export const endToEndFloor = (log: LogKind, set: SetName, here: number) =>
  set === 'bulk' ? undefined : scaled(endToEnd[log], here, there.upsert);

/** `here`: rows a second of psql's COPY and upsert; undefined where the run did not ask: then the ceiling is what it is there. */
export const latencyCeilingMs = (log: LogKind, rate: LatencyRate, here: number | undefined) =>
  p99Ms[log][rate] / (here === undefined ? 1 : Math.min(1, here / there.upsert));

/** A floor that is scaled by a reference; null, which is not ok, where it is set and the reference could not be measured. */
export function floorBy(reference: { readonly value: number } | undefined, floorAt: (here: number) => number | undefined) {
  if (reference) return floorAt(reference.value);
  return floorAt(1) === undefined ? undefined : null;
}
