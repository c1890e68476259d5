/** Where in which file the event at hand is. The binlog says it with 32 bits; here it is the true offset. */
import type { EventHeader } from './events.ts';
import type { Place } from '../position/place.ts';

const beyond32Bits = 4294967296;

export class BinlogCursor {
  file = '';
  /** Offset of the event at hand, and of the next. */
  at = 0;
  next = 0;

  get place(): Place {
    return { file: this.file, offset: this.at };
  }
  get end(): Place {
    return { file: this.file, offset: this.next };
  }

  enter(file: string, offset: number): void {
    this.file = file;
    this.at = offset;
    this.next = offset;
  }

  /**
   * What comes is not before this place, or not far: on a busy server the end of the binlog is asked together with what was
   * executed, and what was written then but not executed yet lies before it.
   */
  atLeast({ file, offset }: Place): void {
    if (file === this.file && offset - beyond32Bits / 2 > this.next) this.next = offset - beyond32Bits / 2;
  }

  /** Only forward is possible, so the nearest offset ahead is meant. */
  advance({ logPos, size }: EventHeader): void {
    const start = (logPos - size) >>> 0;
    this.at = this.next + this.#ahead(start);
    this.next = this.at + size;
  }

  /** Newer MariaDB writes 0 into the events of a transaction but for its first and last. */
  advanceBySize(size: number): void {
    this.at = this.next;
    this.next += size;
  }

  /** A heartbeat says where the server is by now; `end`: a place that it is known to have been at. */
  skipTo(logPos: number, end: Place): void {
    if (logPos === 0) return;
    if (logPos === end.offset % beyond32Bits && this.file === end.file) this.next = Math.max(this.next, end.offset);
    this.at = this.next + this.#ahead(logPos);
    this.next = this.at;
  }

  #ahead(low: number): number {
    return (low - (this.next % beyond32Bits) + beyond32Bits) % beyond32Bits;
  }
}
