/** A target that fails is claimed anew at every try, hundreds of times in an hour: only a claim of something else is news. */
import type { PartitionId } from '../core/log-port.ts';

/** For the life of a part, over all of its sessions. */
export class ClaimNews {
  #claimed: string | undefined;

  isNews(partitions: Iterable<PartitionId>): boolean {
    const now = [...partitions].sort().join(' ');
    if (now === this.#claimed) return false;
    this.#claimed = now;
    return true;
  }
}
