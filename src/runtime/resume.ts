/** Where capture and apply go on after anything died: pure decisions over what the log and the target say (semantics section 9). */
import { CrossfadeError } from '../core/errors.ts';
import type { LogState } from '../core/log-state.ts';
import type { PartitionId, ReadPlace, RecordHead, RecordPlace, Tail } from '../core/log-port.ts';
import type { Progress } from '../core/sink-port.ts';
import type { Version } from '../core/change.ts';
import { type Half, parseVersion, splitVersion, versionOf } from '../core/version.ts';

/**
 * Capture starts again at the last complete record, so the rows behind it come a second time. Per partition they are
 * dropped up to the partition's tail, which must be met on the way: passing it unmet means that the source no longer
 * has the history that the log has.
 */
export class TailFilter {
  readonly #partitions = new Map<PartitionId, PartitionTail>();
  #unmet = 0;

  constructor(tail: Tail) {
    for (const [partition, { endOffset, last }] of tail.partitions) {
      const complete = tail.complete?.ends[partition] ?? 0;
      if (endOffset < complete) throw endLost(partition, endOffset, complete);
      if (!last) continue;
      const known = this.of(partition);
      // The record decides, not the end: a transaction that was aborted at the takeover moves the end and leaves no record.
      if (last.offset >= complete) known.expect(last);
      else known.hold(last.version);
    }
  }

  /** False while a tail is still to be met: nothing may be completed yet. */
  get allMet(): boolean {
    return this.#unmet === 0;
  }

  /** One partition's part of it. */
  of(partition: PartitionId): PartitionTail {
    let tail = this.#partitions.get(partition);
    if (!tail) this.#partitions.set(partition, (tail = new PartitionTail(partition, (more) => (this.#unmet += more))));
    return tail;
  }

  /** True when the record is new and must be appended; false when the log holds it already. */
  admits(partition: PartitionId, version: Version, transactionId: string): boolean {
    const { prefix, ordinal, half } = splitVersion(version);
    return this.of(partition).admits(prefix, ordinal, half, transactionId);
  }

  /** The source says that it has nothing more: whoever is still unmet will never be. */
  atEnd(): void {
    if (this.#unmet > 0) for (const tail of this.#partitions.values()) tail.atEnd();
  }
}

/** Versions come in their parts here, so that no text is made for each record. */
export class PartitionTail {
  readonly #partition: PartitionId;
  readonly #counts: (unmet: 1 | -1) => void;
  #unmet: RecordPlace | undefined;
  /** Of the last record that the log holds or was given. */
  #prefix = '';
  #ordinal = -1;
  #half = 0;

  constructor(partition: PartitionId, counts: (unmet: 1 | -1) => void) {
    this.#partition = partition;
    this.#counts = counts;
  }

  expect(last: RecordPlace): void {
    this.#unmet = last;
    this.#counts(1);
  }

  hold(version: Version): void {
    const { prefix, ordinal, half } = splitVersion(version);
    this.#set(prefix, ordinal, half);
  }

  #set(prefix: string, ordinal: number, half: number): void {
    this.#prefix = prefix;
    this.#ordinal = ordinal;
    this.#half = half;
  }

  /** True when the record is new and must be appended; false when the log holds it already. */
  admits(prefix: string, ordinal: number, half: Half, transactionId: string): boolean {
    if (this.#unmet !== undefined) return this.#drop(this.#unmet, versionOf(prefix, ordinal, half), transactionId);
    const isAbove =
      prefix === this.#prefix ? ordinal > this.#ordinal || (ordinal === this.#ordinal && half > this.#half) : prefix > this.#prefix;
    if (!isAbove) throw notMet(this.#partition, 'a version came that is not above the last one');
    this.#set(prefix, ordinal, half);
    return true;
  }

  #drop(tail: RecordPlace, version: Version, transactionId: string): boolean {
    if (sameEpoch(version, tail.version)) {
      if (version > tail.version) throw notMet(this.#partition, 'the source went past it');
      if (version === tail.version) this.#meet(tail.version);
    } else if (transactionId === tail.transactionId && rowAndHalf(version) === rowAndHalf(tail.version)) {
      // Another server wrote the same transaction at another offset: only the GTID and the row's ordinal are the same.
      this.#meet(version);
    }
    return false;
  }

  #meet(version: Version): void {
    this.#unmet = undefined;
    this.#counts(-1);
    this.hold(version);
  }

  atEnd(): void {
    if (this.#unmet !== undefined) throw notMet(this.#partition, 'the source ended before it');
  }
}

const epochWidth = 8;
const sameEpoch = (a: Version, b: Version) => a.slice(0, epochWidth) === b.slice(0, epochWidth);
const rowAndHalf = (version: Version) => {
  const parsed = parseVersion(version);
  return parsed === undefined ? '' : `${parsed.ordinal}-${parsed.half}`;
};

/** Rows that were durable are gone, and capture will not read them again: everything behind would follow a gap. */
function endLost(partition: PartitionId, endOffset: number, complete: number): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_LOST_HISTORY',
    fault: 'fatal',
    message: `${partition} ends at offset ${endOffset}, but the last complete record vouches for everything below ${complete}`,
    remedy:
      'The topic was deleted and made anew, or the log lost its end. Nothing was appended; put the log back, or begin a new one as the runbook says.',
  });
}

function notMet(partition: PartitionId, what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_TAIL_NOT_MET',
    fault: 'fatal',
    message: `the last record of ${partition} was not found again in the source: ${what}`,
    remedy: 'The source lost transactions that the log has, or another source is configured. Nothing was appended; see the runbook.',
  });
}

/** Where a service goes on in one partition, and the version up to which it must skip when offsets cannot be trusted. */
export interface Resume extends ReadPlace {
  readonly logId: string;
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
  /** What the log holds now at `progress.lastOffset`; `deleted` when retention took it, so that there is nothing to compare. */
  readonly atLast: RecordHead | 'deleted' | undefined;
}

export function resumeOf(question: ResumeQuestion): Resume {
  const { progress, log, partition, service, atLast } = question;
  const { logId, startOffset, endOffset, last } = log.partitions.get(partition) ?? { logId: '', startOffset: 0, endOffset: 0 };
  if (progress === undefined) {
    if ((log.groups.get(service)?.get(partition) ?? 0) > 0) throw progressLost(service, partition);
    if (startOffset > 0) throw historyLost(service, partition, 'it is new here, and the beginning of the log was deleted');
    return { logId, offset: 0, term: 0 };
  }
  if (progress.logId !== logId) throw foreignProgress(service, partition);
  if (progress.mappingHash !== question.mappingHash) throw mappingChanged(service, partition);
  const after = progress.version;
  if (parseVersion(after) === undefined) throw unexplained(service, partition, 'holds no version that Crossfade writes');
  // Whatever moved offsets about, a log that reaches the last record applied reaches its version too. Skipping up to a version
  // that no record has would drop every change that is to come.
  if (last !== undefined && last.offset >= progress.lastOffset && last.version < after) {
    throw unexplained(service, partition, `names a version above the log's last record, which lies at offset ${last.offset}`);
  }
  // The log lost its end (power cut, restored file): the rows come again at other offsets, so only versions can be trusted.
  // Nor can the progress' term: a restored log counts its leaders on from what it knows.
  if (progress.nextOffset > endOffset) return { logId, offset: endOffset, term: last?.term ?? 0, skipThrough: after, after };
  if (progress.nextOffset < startOffset) {
    // Between the last record and the end there may be markers only: deleting those loses nothing.
    if (last === undefined || last.offset > progress.lastOffset) {
      throw historyLost(service, partition, 'the log was deleted beyond what it has applied');
    }
    return { logId, offset: startOffset, term: last.term, after };
  }
  if (atLast === 'deleted') return { logId, offset: progress.nextOffset, term: Math.min(progress.term, last?.term ?? 0), after };
  // The record itself is compared, not what lies below nextOffset: that may be a marker, or a record that does not count.
  // In a log that was not rewritten it is still where it was, so one that is missing says the same as another version.
  if (atLast?.offset !== progress.lastOffset || atLast.version !== after) {
    return { logId, offset: startOffset, term: 0, skipThrough: after, after };
  }
  // Its term is the log's own: where a log was restored and filled again, the same record may have a lower one than we saw.
  return { logId, offset: progress.nextOffset, term: atLast.term, after };
}

function progressLost(service: string, partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_PROGRESS_LOST',
    fault: 'fatal',
    message: `service ${service}: the target has no progress for ${partition}, but the log knows that it had`,
    remedy: `The target was emptied or restored. Load the tables into it again as they were at the log's start or later, stop the service, run \`crossfade rebuild -c FILE --service ${service} --tables-loaded\` to write all since then from the log, then start it again.`,
  });
}

function historyLost(service: string, partition: PartitionId, why: string): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_LOST_HISTORY',
    fault: 'fatal',
    message: `service ${service} cannot go on in ${partition}: ${why}`,
    remedy:
      'What was deleted cannot be replayed. Empty the tables of the service in its target, load them from a dump of the source, and start a new pipeline at the position of that dump (see the runbook).',
  });
}

function foreignProgress(service: string, partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_PROGRESS_FOREIGN',
    fault: 'fatal',
    message: `service ${service}: the target's progress for ${partition} belongs to another log`,
    remedy: `Was the log's file replaced, or its topic made anew? Point the configuration at the old one. If the new one is right, it holds only what happened since its start: see that the target's tables hold everything up to there, run \`crossfade rebuild -c FILE --service ${service} --tables-loaded\`, then start it again.`,
  });
}

function unexplained(service: string, partition: PartitionId, what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_PROGRESS_FOREIGN',
    fault: 'fatal',
    message: `service ${service}: the target's progress for ${partition} ${what}`,
    remedy: `Somebody else wrote it, or the log is another one. Put the old values back, or run \`crossfade rebuild --service ${service}\`.`,
  });
}

function mappingChanged(service: string, partition: PartitionId): CrossfadeError {
  return new CrossfadeError({
    code: 'TARGET_MAPPING_CHANGED',
    fault: 'fatal',
    message: `service ${service}: the mappings behind ${partition} changed since its rows were written`,
    remedy: `Rows already there have the old form. Undo the change, or stop the service, run \`crossfade rebuild -c FILE --service ${service}\` to write again all that the log holds, then start it again; rows from before the log's start stay in the old form until you load them again.`,
  });
}
