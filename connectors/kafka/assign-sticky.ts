/** Who reads which partition, moving as few as possible: what the group's leader works out when members come or go. */
import type { PartitionId } from '../../src/core/log-port.ts';
import type { Candidate } from './assignment.ts';

/**
 * Everybody keeps what it has, up to its fair share; what is free goes to the least loaded that knows it. Of two that
 * say they have a partition, the one of the newer generation is right.
 */
export function assignSticky(members: readonly Candidate[]): Map<string, PartitionId[]> {
  const sorted = [...members].sort((a, b) => compareText(a.id, b.id));
  const knowers = new Map<PartitionId, string[]>();
  for (const { id, partitions } of sorted) {
    for (const partition of partitions) {
      const known = knowers.get(partition);
      if (known) known.push(id);
      else knowers.set(partition, [id]);
    }
  }
  const shares = new Map(sorted.map(({ id }): [string, PartitionId[]] => [id, []]));
  for (const [partition, owner] of ownersOf(sorted, knowers)) shares.get(owner)?.push(partition);
  const taken = new Set([...shares.values()].flat());
  const free = [...knowers.keys()].filter((partition) => !taken.has(partition)).sort(compareText);
  for (const partition of free) leastLoaded(knowers.get(partition) ?? [], shares)?.push(partition);
  level(knowers, shares);
  return shares;
}

function ownersOf(members: readonly Candidate[], knowers: ReadonlyMap<PartitionId, readonly string[]>): Map<PartitionId, string> {
  const owners = new Map<PartitionId, { readonly id: string; readonly generation: number }>();
  for (const { id, owned, generation } of members) {
    for (const partition of owned) {
      if (!knowers.get(partition)?.includes(id)) continue;
      const rival = owners.get(partition);
      if (!rival || rival.generation < generation) owners.set(partition, { id, generation });
    }
  }
  return new Map([...owners].map(([partition, { id }]) => [partition, id]));
}

/** Takes from whoever has two more than another that knows one of his, until nobody has. */
function level(knowers: ReadonlyMap<PartitionId, readonly string[]>, shares: ReadonlyMap<string, PartitionId[]>): void {
  const all = new Set(shares.keys());
  for (;;) {
    const byLoad = [...all].sort((a, b) => (shares.get(b)?.length ?? 0) - (shares.get(a)?.length ?? 0) || compareText(a, b));
    if (!byLoad.some((id) => moveOne(id, knowers, shares))) return;
  }
}

function moveOne(from: string, knowers: ReadonlyMap<PartitionId, readonly string[]>, shares: ReadonlyMap<string, PartitionId[]>): boolean {
  const mine = shares.get(from) ?? [];
  let best: { readonly index: number; readonly to: PartitionId[] } | undefined;
  for (let index = mine.length - 1; index >= 0; index -= 1) {
    const to = leastLoaded(knowers.get(mine[index] as PartitionId) ?? [], shares);
    if (to && to.length + 1 < mine.length && (!best || to.length < best.to.length)) best = { index, to };
    if (best?.to.length === 0) break;
  }
  if (!best) return false;
  best.to.push(...mine.splice(best.index, 1));
  return true;
}

function leastLoaded(ids: readonly string[], shares: ReadonlyMap<string, PartitionId[]>): PartitionId[] | undefined {
  let least: PartitionId[] | undefined;
  for (const id of ids) {
    const share = shares.get(id);
    if (share && (!least || share.length < least.length)) least = share;
  }
  return least;
}

/** Not localeCompare: whoever leads must answer alike, whatever his locale. */
const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
