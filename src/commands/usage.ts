/** What every command says to a word that it does not know. */
import { CrossfadeError } from '../core/errors.ts';
import { nearestName } from '../nearest-name.ts';

export function usage(message: string, see: string): CrossfadeError {
  return new CrossfadeError({ code: 'USAGE', fault: 'fatal', message, remedy: `See \`${see}\`.` });
}

/** To be put behind the message: `; did you mean "check"?`, or all names where none is near. */
export function nearest(word: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const near = nearestName(word, known);
  return near === undefined ? `; there are ${known.join(', ')}` : `; did you mean "${near}"?`;
}
