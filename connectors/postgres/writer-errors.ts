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

/** Behind a connection that was lost: who claims a partition ends an owner that says nothing in the middle of a transaction. */
export function takenBehind(partitions: readonly PartitionId[], cause: unknown): CrossfadeError {
  const [first = '', ...others] = partitions;
  const named = others.length === 0 ? first : `${first} and ${others.length} more`;
  return new CrossfadeError({
    code: 'TARGET_FENCED',
    fault: 'retry',
    message: `another owner took ${named} and the connection of this one is gone: it was silent for too long in the middle of a transaction, or its process was taken for dead`,
    remedy:
      'Nothing to do: the owner of the partition goes on. If it happens again and again, this process gets too little of its machine.',
    cause,
  });
}
