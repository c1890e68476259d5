/** One request of Kafka's protocol, in bytes of our own; `decode` gets the answer without its header's correlation id. */
export interface KafkaRequest<T> {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  encode(): Buffer;
  /** Throws ProtocolError where the whole answer is one error; errors of single partitions are in what it returns. */
  decode(answer: Buffer): T;
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
