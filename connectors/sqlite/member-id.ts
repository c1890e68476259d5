/** The name of a reader in its group: the same after every session of a process, so that who comes back is dealt the same share. */
import { hostname } from 'node:os';
import { threadId } from 'node:worker_threads';

/** By group's file and name: the numbers in use in this thread. */
const taken = new Map<string, Set<number>>();

export interface MemberId extends Disposable {
  readonly id: string;
}

/**
 * A worker that was fenced leaves and joins again within a moment. Under a new name all partitions would be dealt anew, which
 * fences the others, who leave and join again: a chain that need not end while rows come. Disposing frees the name.
 */
export function takeMemberId(path: string, group: string): MemberId {
  const place = `${path}\0${group}`;
  const numbers = taken.get(place) ?? new Set<number>();
  taken.set(place, numbers);
  let number = 0;
  while (numbers.has(number)) number += 1;
  numbers.add(number);
  return {
    // By age: whoever comes later is dealt to behind those who are there.
    id: [Math.round(performance.timeOrigin), process.pid, hostname(), threadId, number].join(' '),
    [Symbol.dispose]: () => void numbers.delete(number),
  };
}
