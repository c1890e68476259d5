/** What stops a writer without being anybody's fault: it is tried again. */
import { CrossfadeError } from '../../src/core/errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';

export function fenced(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `another owner took ${partition}, or its progress in the target is not what this one left there`,
    remedy: 'Nothing to do: the owner of the partition goes on, or this one claims it again.',
  });
}

export function notCommitted(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_BUSY',
    fault: 'retry',
    message: `the server rolled a transaction of ${partition} back instead of committing it`,
    remedy: 'It is tried again. If it persists, look for triggers in the target that end transactions.',
  });
}
