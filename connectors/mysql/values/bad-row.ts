/** Thrown from inside a row, where neither table nor place is known; who decodes rows makes an error of them. */

export class InvalidValue {
  /** The column's index. */
  readonly column: number;
  constructor(column: number) {
    this.column = column;
  }
}

export class OversizedImage {
  /** What is known of its size; one value of it may be all. */
  readonly bytes: number;
  constructor(bytes: number) {
    this.bytes = bytes;
  }
}
