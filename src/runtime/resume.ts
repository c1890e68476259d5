/** Where capture and apply go on after anything died: pure decisions over what the log and the target say (semantics section 9). */
import { CrossfadeError } from '../core/errors.ts';
import type { LogState, PartitionId, Progress, RecordPlace, Tail } from '../core/ports.ts';
import type { Version } from '../core/change.ts';
import { parseVersion } from '../core/version.ts';

/**
 * Capture starts again at the last complete record, so the rows behind it come a second time. Per partition they are
 * dropped up to the partition's tail, which must be met on the way: passing it unmet means that the source no longer
 * has the history that the log has.
 */
export class TailFilter {
  readonly #unmet = new Map<PartitionId, RecordPlace>();
  readonly #last = new Map<PartitionId, Version>();

  constructor(tail: Tail) {
    for (const [partition, { endOffset, last }] of tail.partitions) {
      if (!last) continue;
      if (endOffset > (tail.complete?.ends[partition] ?? 0)) this.#unmet.set(partition, last);
      else this.#last.set(partition, last.version);
    }
  }

  /** False while a tail is still to be met: nothing may be completed yet. */
  get allMet(): boolean {
    return this.#unmet.size === 0;
  }

  /** True when the record is new and must be appended; false when the log holds it already. */
  admits(partition: PartitionId, version: Version, transactionId: string): boolean {
    const tail = this.#unmet.get(partition);
    if (tail !== undefined) return this.#drop(partition, tail, version, transactionId);
    const last = this.#last.get(partition);
    if (last !== undefined && version <= last) throw notMet(partition, 'a version came that is not above the last one');
    this.#last.set(partition, version);
    return true;
  }

  #drop(partition: PartitionId, tail: RecordPlace, version: Version, transactionId: string): boolean {
    if (sameEpoch(version, tail.version)) {
      if (version > tail.version) throw notMet(partition, 'the source went past it');
      if (version === tail.version) this.#meet(partition, tail);
    } else if (transactionId === tail.transactionId && rowAndHalf(version) === rowAndHalf(tail.version)) {
      // Another server wrote the same transaction at another offset: only the GTID and the row's ordinal are the same.
      this.#meet(partition, tail);
      this.#last.set(partition, version);
    }
    return false;
  }

  #meet(partition: PartitionId, tail: RecordPlace): void {
    this.#unmet.delete(partition);
    this.#last.set(partition, tail.version);
  }

  /** The source says that it has nothing more: whoever is still unmet will never be. */
  atEnd(): void {
    for (const partition of this.#unmet.keys()) throw notMet(partition, 'the source ended before it');
  }
}

const epochWidth = 8;
const sameEpoch = (a: Version, b: Version) => a.slice(0, epochWidth) === b.slice(0, epochWidth);
const rowAndHalf = (version: Version) => {
  const parsed = parseVersion(version);
  return parsed === undefined ? '' : `${parsed.ordinal}-${parsed.half}`;
};

function notMet(partition: PartitionId, what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_TAIL_NOT_MET',
    fault: 'fatal',
    message: `the last record of ${partition} was not found again in the source: ${what}`,
    remedy: 'The source lost transactions that the log has, or another source is configured. Nothing was appended; see the runbook.',
  });
}

/** Where a service goes on in one partition, and the version up to which it must skip when offsets cannot be trusted. */
export interface Resume {
  readonly offset: number;
  readonly skipThrough?: Version;
  /** What the target holds already ends with this version. */
  readonly after?: Version;
}

export interface ResumeQuestion {
  readonly service: string;
  readonly partition: PartitionId;
  readonly progress: Progress | undefined;
  readonly mappingHash: string;
  readonly log: LogState;
  /** The version that the log holds at `progress.nextOffset - 1`; undefined when that offset cannot be read. */
  readonly versionBefore: Version | undefined;
}

export function resumeOf(question: ResumeQuestion): Resume {
  const { progress, log, partition, service } = question;
  const { startOffset, endOffset } = log.partitions.get(partition) ?? { startOffset: 0, endOffset: 0 };
  if (progress === undefined) {
    if ((log.groups.get(service)?.get(partition) ?? 0) > 0) throw progressLost(service, partition);
    if (startOffset > 0) throw historyLost(service, partition, 'it is new here, and the beginning of the log was deleted');
    return { offset: 0 };
  }
  if (progress.logId !== log.logId) throw foreignProgress(service, partition);
  if (progress.mappingHash !== question.mappingHash) throw mappingChanged(service, partition);
  if (progress.nextOffset < startOffset) throw historyLost(service, partition, 'the log was deleted beyond what it has applied');
  // The log lost its end (power cut, restored file): the rows come again at other offsets, so only versions can be trusted.
  if (progress.nextOffset > endOffset) return { offset: endOffset, skipThrough: progress.version, after: progress.version };
  if (question.versionBefore !== undefined && question.versionBefore !== progress.version) {
    return { offset: startOffset, skipThrough: progress.version, after: progress.version };
  }
  return { offset: progress.nextOffset, after: progress.version };
}

function progressLost(service: string, partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_PROGRESS_LOST',
    fault: 'fatal',
    message: `service ${service}: the target has no progress for ${partition}, but the log knows that it had`,
    remedy: `The target was emptied or restored. Run \`crossfade rebuild --service ${service}\` to write it again from the log.`,
  });
}

function historyLost(service: string, partition: PartitionId, why: string): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_LOST_HISTORY',
    fault: 'fatal',
    message: `service ${service} cannot go on in ${partition}: ${why}`,
    remedy: 'The service needs a first copy of its tables; see the runbook.',
  });
}

function foreignProgress(service: string, partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_PROGRESS_FOREIGN',
    fault: 'fatal',
    message: `service ${service}: the target's progress for ${partition} belongs to another log`,
    remedy: `Was the log's file replaced? Point the configuration at the old one, or run \`crossfade rebuild --service ${service}\`.`,
  });
}

function mappingChanged(service: string, partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_MAPPING_CHANGED',
    fault: 'fatal',
    message: `service ${service}: the mappings behind ${partition} changed since its rows were written`,
    remedy: `Rows already there have the old form. Undo the change, or run \`crossfade rebuild --service ${service}\` to write all of them again.`,
  });
}
