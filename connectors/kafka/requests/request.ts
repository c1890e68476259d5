/** Requests of Kafka's protocol, in bytes of our own. */
import { RequestWriter } from './bytes.ts';

/** `decode` gets the answer without its header's correlation id. */
export interface KafkaRequest<T> {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  /** Pieces of it, one behind the other, where parts are large: they must stay as they are until it was answered. */
  encode(): Buffer | readonly Buffer[];
  /** Throws ProtocolError where the whole answer is one error; errors of single partitions are in what it returns. */
  decode(answer: Buffer): T;
}

interface Head {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string;
}

/** The frame's length and the request's header (version 1), in front of so many bytes of request. */
export function requestHead({ apiKey, apiVersion, correlationId, clientId }: Head, bytes: number): Buffer {
  const header = new RequestWriter().int16(apiKey).int16(apiVersion).int32(correlationId).string(clientId).toBuffer();
  const length = new RequestWriter().int32(header.length + bytes).toBuffer();
  return Buffer.concat([length, header]);
}

/** An error code of the broker's that stands for the whole request. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: number;
  readonly apiName: string;

  constructor(code: number, apiName: string) {
    super(`${apiName} was answered with code ${code}`);
    this.code = code;
    this.apiName = apiName;
  }
}

export function throwOnError(code: number, apiName: string): void {
  if (code !== 0) throw new ProtocolError(code, apiName);
}

/** Partitions by topic, as most requests want them. */
export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}
