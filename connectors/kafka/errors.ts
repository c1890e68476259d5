/** From kafkajs's errors and the protocol's codes to ours, in one place. What is not known here is fatal: going on could lose what was promised. */
import { CrossfadeError, type ErrorCode, type Fault, nameAndCode } from '../../src/core/errors.ts';
import { logFull } from '../../src/core/log-errors.ts';
import { ProtocolError } from './requests/request.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly what: string;
  readonly remedy: string;
}

const away: Meaning = {
  code: 'LOG_UNREACHABLE',
  fault: 'retry',
  what: 'Kafka cannot be reached, or does not answer in time',
  remedy:
    'See that the brokers run, that "brokers" under log.kafka in the configuration names some of them, and that "tls" is set where they ask for it (and only there); it is tried again until then.',
};
const moving: Meaning = {
  code: 'LOG_UNREACHABLE',
  fault: 'retry',
  what: 'the cluster is changing leaders or has none for it now',
  remedy: 'Nothing to do unless it lasts: then see which brokers are down. It is tried again until then.',
};
const fewReplicas: Meaning = {
  code: 'LOG_UNREACHABLE',
  fault: 'retry',
  what: 'fewer copies are in sync than min.insync.replicas demands, so nothing may be written',
  remedy: 'Bring the missing brokers back; it is tried again until then. What was acknowledged stands.',
};
const lostState: Meaning = {
  code: 'LOG_FAILED',
  fault: 'retry',
  what: 'the broker no longer knows what this producer wrote last, so nothing may follow it under the same id',
  remedy: 'Nothing to do: capture starts again at the last complete record, with a new epoch. Should it repeat, look at the broker’s log.',
};
const superseded: Meaning = {
  code: 'LOG_FENCED',
  fault: 'retry',
  what: 'another capture of this pipeline leads now, so this one may not write',
  remedy: 'Nothing to do: this process stands by and takes over when the other one ends. Nothing was written by it since.',
};
const group: Meaning = {
  code: 'LOG_FAILED',
  fault: 'retry',
  what: 'the consumer group changed meanwhile',
  remedy: 'Nothing to do: this member joins it again.',
};
const login: Meaning = {
  code: 'LOG_AUTH',
  fault: 'fatal',
  what: 'the brokers refuse the login',
  remedy: 'Correct "sasl" (mechanism, username, password) under log.kafka in the configuration, then start again.',
};
const untrusted: Meaning = {
  code: 'LOG_AUTH',
  fault: 'fatal',
  what: 'the TLS connection was not trusted',
  remedy:
    'Under log.kafka in the configuration, name the brokers as their certificates do, give "tls.ca" the authority that signed them, and "tls.cert" with "tls.key" where they ask for ours. Then start again.',
};
const forbidden: Meaning = {
  code: 'LOG_PRIVILEGE',
  fault: 'fatal',
  what: 'this user may not do that',
  remedy:
    'Give the user the rights that the guide lists: on topics, groups and transactional ids that begin with the pipeline’s name. Then start again.',
};
const tooLarge: Meaning = {
  code: 'LOG_RECORD_TOO_LARGE',
  fault: 'fatal',
  what: 'a change is larger than the topic takes (max.message.bytes)',
  remedy: 'Raise max.message.bytes of the topic (kafka-configs --alter --entity-type topics), or leave the table out. Then start again.',
};
const tooOld: Meaning = {
  code: 'LOG_SETTING',
  fault: 'fatal',
  what: 'the brokers do not know a request that is needed',
  remedy: 'Use Kafka 3.0 or later.',
};
const clocks: Meaning = {
  code: 'LOG_SETTING',
  fault: 'fatal',
  what: 'the broker refuses the time of the changes: its clock and this machine’s are apart',
  remedy: 'Set message.timestamp.type=LogAppendTime on the topic, as Crossfade makes it, and mend the clock. Then start again.',
};
const policy: Meaning = {
  code: 'LOG_SETTING',
  fault: 'fatal',
  what: 'the brokers refuse the settings of a topic',
  remedy: 'Make "replication" and "minInsyncReplicas" under log.kafka fit the cluster and its policies, then start again.',
};

const storageError = 56;
/** https://kafka.apache.org/protocol#protocol_error_codes */
const meanings: ReadonlyMap<number, Meaning> = new Map([
  ...[3, 5, 6, 8, 9, 13, 14, 15, 16, 41, 51, 60, 72, 74, 75, 89, 100].map((code) => [code, moving] as const),
  ...[2, 7].map((code) => [code, away] as const),
  ...[19, 20].map((code) => [code, fewReplicas] as const),
  ...[45, 48, 49, 59].map((code) => [code, lostState] as const),
  ...[47, 90].map((code) => [code, superseded] as const),
  ...[22, 25, 27, 79, 82].map((code) => [code, group] as const),
  ...[33, 34, 58].map((code) => [code, login] as const),
  ...[29, 30, 31, 53].map((code) => [code, forbidden] as const),
  ...[10, 18].map((code) => [code, tooLarge] as const),
  [32, clocks],
  [35, tooOld],
  ...[37, 38, 39, 40, 44].map((code) => [code, policy] as const),
]);

const meaningsByName: ReadonlyMap<string, Meaning> = new Map([
  ['KafkaJSConnectionError', away],
  ['KafkaJSConnectionClosedError', away],
  ['KafkaJSRequestTimeoutError', away],
  ['KafkaJSLockTimeout', away],
  ['KafkaJSBrokerNotFound', moving],
  ['KafkaJSGroupCoordinatorNotFound', moving],
  ['KafkaJSMetadataNotLoaded', moving],
  ['KafkaJSTopicMetadataNotLoaded', moving],
  ['KafkaJSSASLAuthenticationError', login],
  ['KafkaJSServerDoesNotSupportApiKey', tooOld],
]);

const untrustedCodes = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/;

/** The system's name of what went wrong below the protocol (`ENOTFOUND`, `SELF_SIGNED_CERT_IN_CHAIN`); undefined where there is none. */
function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if ('code' in thrown && typeof thrown.code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(thrown.code)) return thrown.code;
  return systemCode(thrown.cause);
}

/** The protocol's code of an error; undefined for anything else. */
export function protocolCode(thrown: unknown): number | undefined {
  if (thrown instanceof CrossfadeError) return thrown.cause === undefined ? undefined : protocolCode(thrown.cause);
  if (thrown instanceof ProtocolError) return thrown.code;
  if (!(thrown instanceof Error) || !thrown.name.startsWith('KafkaJS')) return undefined;
  if ('code' in thrown && typeof thrown.code === 'number') return thrown.code;
  return thrown.cause === undefined ? undefined : protocolCode(thrown.cause);
}

/** One of the protocol's codes, as it came for a single partition. */
export function codeError(code: number, apiName: string, where: string): CrossfadeError {
  return kafkaError(new ProtocolError(code, apiName), where);
}

/** `where` names topic, partition, group or request; never a user or a password. */
export function kafkaError(thrown: unknown, where: string): CrossfadeError {
  if (thrown instanceof CrossfadeError) return thrown;
  const code = protocolCode(thrown);
  if (code === storageError) return logFull(`${where}: the broker cannot use its disk (full or broken)`, thrown);
  const system = code === undefined ? systemCode(thrown) : undefined;
  const meaning = system !== undefined && untrustedCodes.test(system) ? untrusted : meaningOf(thrown, code);
  if (meaning) {
    const { what, ...rest } = meaning;
    const known = code === undefined ? system : `code ${code}`;
    return new CrossfadeError({
      ...rest,
      message: `the log at ${where}: ${what}${known === undefined ? '' : ` (${known})`}`,
      cause: thrown,
    });
  }
  return new CrossfadeError({
    code: 'LOG_FAILED',
    fault: 'fatal',
    message: `the log failed at ${where}: ${code === undefined ? nameAndCode(thrown) : `Kafka's code ${code}`}`,
    remedy: 'This failure was not foreseen. What was acknowledged stands; report this with the log, then start again.',
    cause: thrown,
  });
}

function meaningOf(thrown: unknown, code: number | undefined): Meaning | undefined {
  if (code !== undefined) return meanings.get(code);
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const meaning = meaningsByName.get(error.name);
    if (meaning) return meaning;
  }
  return undefined;
}

/** No answer within our own limit; the connection is dropped with it. */
export function noAnswer(where: string, afterMs: number): CrossfadeError {
  return new CrossfadeError({
    code: away.code,
    fault: away.fault,
    message: `the log at ${where}: no answer within ${Math.round(afterMs)} ms`,
    remedy: away.remedy,
  });
}

/** The connection ended, by either side, before the answer came. */
export function connectionLost(where: string, cause?: unknown): CrossfadeError {
  return new CrossfadeError({
    code: away.code,
    fault: away.fault,
    message: `the log at ${where}: the connection ended before the answer came`,
    remedy: away.remedy,
    cause,
  });
}

/** No leader, or no such partition yet. */
export function noLeader(where: string): CrossfadeError {
  return new CrossfadeError({
    code: moving.code,
    fault: moving.fault,
    message: `the log at ${where}: ${moving.what}`,
    remedy: moving.remedy,
  });
}

/** A topic that was there is gone, or another one has its name. */
export function topicReplaced(topic: string): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_LOST_HISTORY',
    fault: 'fatal',
    message: `the topic ${topic} was deleted or made anew while this pipeline wrote to it: its changes are gone`,
    remedy:
      'Empty the tables of the services in their targets, load them from a dump of the source, and start a new pipeline at the position of that dump (see the runbook). Keep whoever deletes topics away from those that begin with the pipeline’s name.',
  });
}

/** Deleted between a capture's death and the next one's start, with nothing noted of them. */
export function unvouchedDeleted(partition: string, from: number, to: number): CrossfadeError {
  const { code, fault, remedy } = topicReplaced(partition);
  const message = `${partition}: what lay at the offsets ${from} to ${to - 1} was deleted before it was noted which changes they were, so capture cannot know where to go on`;
  return new CrossfadeError({ code, fault, message, remedy });
}

/** One batch holds at least one change, and this one is larger than its topic takes. */
export function recordTooLarge(partition: string, bytes: number): CrossfadeError {
  return new CrossfadeError({
    code: tooLarge.code,
    fault: tooLarge.fault,
    message: `${partition}: a change of ${(bytes / 1024 ** 2).toFixed(1)} MB (as sent) is larger than the topic takes (max.message.bytes)`,
    remedy: tooLarge.remedy,
  });
}

/** Nothing is wrong that waiting would not mend: but who was fenced, or has lost its producer's state, must not go on by itself. */
export function isPassing({ fault, code }: CrossfadeError): boolean {
  return fault === 'retry' && (code === 'LOG_UNREACHABLE' || code === 'LOG_FULL');
}

/** Another process took the id between our own steps. */
export function fencedByEpoch(transactionalId: string): CrossfadeError {
  const { what, ...rest } = superseded;
  return new CrossfadeError({ ...rest, message: `the log at ${transactionalId}: ${what}` });
}

export function fenceTookTooLong(transactionalId: string, state: string): CrossfadeError {
  const { code, fault, remedy } = moving;
  const message = `the log at ${transactionalId}: not every partition has the mark of the new leader yet (the transaction is ${state})`;
  return new CrossfadeError({ code, fault, message, remedy });
}

/** A batch was stored below what the partition had: what was there is gone. */
export function endLost(partition: string, offset: number): CrossfadeError {
  const { code, fault, remedy } = topicReplaced(partition);
  const message = `${partition}: a change came to lie at offset ${offset}, below what was there: the topic was made anew, or lost its end with a leader that was not in sync`;
  return new CrossfadeError({ code, fault, message, remedy });
}
