/** What a person may have meant by a word that is not known. */
import { closest, distance } from 'fastest-levenshtein';

/** The one of `known` that is near enough to be meant: up to half of its letters differ, and two always may. */
export function nearestName(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const near = closest(word, known);
  return distance(word, near) <= Math.max(2, Math.floor(near.length / 2)) ? near : undefined;
}
