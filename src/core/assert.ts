import { CrossfadeError } from './errors.ts';

/** A condition that only a bug of ours can break. It stops the process loudly instead of going on with a wrong state. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (condition) return;
  throw new CrossfadeError({
    code: 'INVARIANT',
    fault: 'fatal',
    message: `invariant broken: ${what}`,
    remedy: 'This is a bug in Crossfade; nothing was acknowledged past it. Report it with the log.',
  });
}
