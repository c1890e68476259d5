/** What every log says in the same words, whatever keeps it: the runbook has one heading for each. */
import { CrossfadeError } from './errors.ts';
import type { PartitionId } from './log-port.ts';

export function fenced(term: number, current: number | undefined): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_FENCED',
    fault: 'retry',
    message: `this capture led term ${term}${current === undefined ? '' : `, the log is at term ${current}`}: another capture leads now`,
    remedy: 'Nothing to do: this process stands by and takes over when the other one ends. Nothing was written by it since.',
  });
}

export function lostHistory(partition: PartitionId, offset: number, startOffset: number): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_LOST_HISTORY',
    fault: 'fatal',
    message: `${partition} is to be read from offset ${offset}, but the log starts at ${startOffset}: the changes between are gone`,
    remedy:
      'Empty the tables of the service in its target, load them from a dump of the source, and start a new pipeline at the position of that dump (see the runbook). A longer retention keeps this from happening again.',
  });
}

export function aheadOfLog(partition: PartitionId, offset: number, endOffset: number): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_LOST_HISTORY',
    fault: 'fatal',
    message: `${partition} is to be read from offset ${offset}, but the log ends at ${endOffset}`,
    remedy: 'The log lost its end (power cut, restored file) or the target belongs to another log: see the runbook before going on.',
  });
}

export function partitionsChanged(topic: string, stored: number, wanted: number): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_PARTITIONS_CHANGED',
    fault: 'fatal',
    message: `${topic} has ${stored} partitions in the log, the configuration says ${wanted}`,
    remedy: `Set its partitions back to ${stored}: another number would send a key's changes to two partitions and lose their order. To change it, start a new log.`,
  });
}

export function unknownPartition(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'INVARIANT',
    fault: 'fatal',
    message: `${partition} is not among the streams that this log was opened with`,
    remedy: 'This is a bug in Crossfade; nothing of this append was written. Report it with the log.',
  });
}

/** An apply may start before the first capture has made its topics: without a log's id nothing may be written down as applied. */
export function notMadeYet(partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_UNREACHABLE',
    fault: 'retry',
    message: `the log has no ${partition} yet`,
    remedy: 'Nothing to do when the pipeline is new: the first `crossfade run capture` makes it. Else its topic was deleted.',
  });
}

/** After one failed append nothing may follow it, or the log would have a gap: the writer is to be opened anew. */
export function writerBroken(cause: unknown): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_FAILED',
    fault: 'retry',
    message: 'an earlier append of this writer failed, so nothing may be written behind it',
    remedy: 'Nothing to do: capture starts again at the last complete record.',
    cause,
  });
}

export function logClosed(): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_UNREACHABLE',
    fault: 'retry',
    message: 'the log was closed by this process',
    remedy: 'Nothing to do: it is opened again with the next attempt.',
  });
}

export function logFull(where: string, cause?: unknown): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_FULL',
    fault: 'retry',
    message: `there is no room left for ${where}; nothing of this write was acknowledged`,
    remedy: 'Free disk space; capture then goes on by itself. A smaller retention or a service that catches up lets the log delete more.',
    cause,
  });
}

export function corrupt(where: string, what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_CORRUPT',
    fault: 'fatal',
    message: `the log is damaged at ${where}: ${what}`,
    remedy:
      'Nothing after this place was applied. Restore the log from a backup, or rebuild the services from a new log (see the runbook).',
  });
}
