/** Who reads which partition: the same answer in every member, from the member list alone. */
import type { PartitionId } from './log-port.ts';

export interface GroupMember {
  readonly id: string;
  /** The partitions that this member's configuration knows. */
  readonly partitions: readonly PartitionId[];
}

/**
 * Partitions in order, each to the least loaded member that knows it (the lower id when equal): round robin when all
 * members have the same configuration, and nobody is handed a partition that he does not know when they do not.
 */
export function shareOut(members: readonly GroupMember[]): Map<string, PartitionId[]> {
  const shares = new Map(members.map(({ id }): [string, PartitionId[]] => [id, []]));
  const candidates = new Map<PartitionId, string[]>();
  for (const { id, partitions } of [...members].sort((a, b) => compareText(a.id, b.id))) {
    for (const partition of partitions) {
      const known = candidates.get(partition);
      if (known) known.push(id);
      else candidates.set(partition, [id]);
    }
  }
  for (const partition of [...candidates.keys()].sort(compareText)) {
    let least: PartitionId[] | undefined;
    for (const id of candidates.get(partition) ?? []) {
      const share = shares.get(id);
      if (share && (!least || share.length < least.length)) least = share;
    }
    least?.push(partition);
  }
  return shares;
}

/** Not localeCompare: every member must sort alike, whatever its locale. */
const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
