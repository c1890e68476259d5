/** A place in the binlog: the offset is the true one, beyond 2^32 too. */
export interface Place {
  readonly file: string;
  readonly offset: number;
}

export const placeText = ({ file, offset }: Place): string => `${file}:${offset}`;
