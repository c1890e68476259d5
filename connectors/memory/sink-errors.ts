/** What a target in memory fails with, as real ones do. */
import { CrossfadeError } from '../../src/core/errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';

export function unreachable(): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_UNREACHABLE',
    fault: 'retry',
    message: 'the connection to the target is gone',
    remedy: 'Nothing to do: a new connection reads what happened.',
  });
}

export function fenced(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `another owner took ${partition}, or this one never claimed it`,
    remedy: 'Nothing to do: the owner of the partition goes on.',
  });
}

/** What is the matter with one batch: others that were written with it may be right. */
export const isOfOne = ({ code, fault }: CrossfadeError): boolean => fault === 'poison' || code === 'TARGET_FENCED';
