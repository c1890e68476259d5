/** GTID sets: which transactions of which source. Pure; the text is MySQL's, tags (8.3 and newer) included. */
import { CrossfadeError } from '../../../src/core/errors.ts';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const tagPattern = /^[a-z_][a-z0-9_]{0,31}$/;

function invalid(text: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_POSITION_INVALID',
    fault: 'fatal',
    message: `"${text.slice(0, 80)}" is not a GTID set`,
    remedy: 'A GTID set looks like 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5; SELECT @@GLOBAL.gtid_executed prints one.',
  });
}

function transactionNumber(text: string, whole: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (!Number.isSafeInteger(value) || value < 1) throw invalid(whole);
  return value;
}

/** `uuid` or `uuid:tag`, and its number, of a single GTID. */
function splitGtid(gtid: string): { readonly source: string; readonly number: number } {
  const at = gtid.lastIndexOf(':');
  return { source: gtid.slice(0, at), number: transactionNumber(gtid.slice(at + 1), gtid) };
}

/** Sorted, disjoint, not adjacent: first, last, first, last… */
type Intervals = number[];

export class GtidSet {
  /** By `uuid` or `uuid:tag`. */
  readonly #sources = new Map<string, Intervals>();

  static parse(text: string): GtidSet {
    const set = new GtidSet();
    const plain = text.replace(/\s/g, '').toLowerCase();
    if (plain === '') return set;
    for (const entry of plain.split(',')) {
      const [uuid, ...items] = entry.split(':') as [string, ...string[]];
      if (!uuidPattern.test(uuid) || items.length === 0) throw invalid(text);
      let source = uuid;
      for (const item of items) {
        if (tagPattern.test(item)) {
          source = `${uuid}:${item}`;
          continue;
        }
        const [first, last, ...rest] = item.split('-') as [string, string?, ...string[]];
        const from = transactionNumber(first, text);
        const to = last === undefined ? from : transactionNumber(last, text);
        if (rest.length > 0 || to < from) throw invalid(text);
        set.#addInterval(source, from, to);
      }
    }
    return set;
  }

  get empty(): boolean {
    return this.#sources.size === 0;
  }

  add(gtid: string): void {
    const { source, number } = splitGtid(gtid);
    const intervals = this.#sources.get(source);
    // The usual case: the next transaction of a source.
    if (intervals && intervals[intervals.length - 1] === number - 1) intervals[intervals.length - 1] = number;
    else this.#addInterval(source, number, number);
  }

  /** Everything of `other` too. */
  merge(other: GtidSet): void {
    for (const [source, intervals] of other.#sources) {
      for (let at = 0; at < intervals.length; at += 2) this.#addInterval(source, intervals[at] as number, intervals[at + 1] as number);
    }
  }

  /** A set needs no `before`. */
  remove(gtid: string, _before: string | null = null): void {
    const { source, number } = splitGtid(gtid);
    const rest: Intervals = [];
    const intervals = this.#sources.get(source) ?? [];
    for (let at = 0; at < intervals.length; at += 2) {
      const first = intervals[at] as number;
      const last = intervals[at + 1] as number;
      if (number < first || number > last) rest.push(first, last);
      else {
        if (number > first) rest.push(first, number - 1);
        if (number < last) rest.push(number + 1, last);
      }
    }
    if (rest.length > 0) this.#sources.set(source, rest);
    else this.#sources.delete(source);
  }

  has(gtid: string): boolean {
    const { source, number } = splitGtid(gtid);
    return this.#covers(source, number, number);
  }

  contains(other: GtidSet): boolean {
    for (const [source, intervals] of other.#sources) {
      for (let at = 0; at < intervals.length; at += 2) {
        if (!this.#covers(source, intervals[at] as number, intervals[at + 1] as number)) return false;
      }
    }
    return true;
  }

  predecessor(): null {
    return null;
  }

  copy(): GtidSet {
    const set = new GtidSet();
    for (const [source, intervals] of this.#sources) set.#sources.set(source, [...intervals]);
    return set;
  }

  /** MySQL's own form: by uuid, the untagged intervals first, then the tags in order. */
  toString(): string {
    let text = '';
    let uuid = '';
    for (const source of [...this.#sources.keys()].sort()) {
      const [of, tag] = source.split(':') as [string, string?];
      const intervals = this.#sources.get(source) as Intervals;
      text += of === uuid ? `:${tag}` : `${text === '' ? '' : ','}${source}`;
      uuid = of;
      for (let at = 0; at < intervals.length; at += 2) {
        text += intervals[at] === intervals[at + 1] ? `:${intervals[at]}` : `:${intervals[at]}-${intervals[at + 1]}`;
      }
    }
    return text;
  }

  #covers(source: string, first: number, last: number): boolean {
    const intervals = this.#sources.get(source) ?? [];
    for (let at = 0; at < intervals.length; at += 2) {
      if (first >= (intervals[at] as number) && last <= (intervals[at + 1] as number)) return true;
    }
    return false;
  }

  #addInterval(source: string, first: number, last: number): void {
    const old = this.#sources.get(source) ?? [];
    const merged: Intervals = [];
    let from = first;
    let to = last;
    for (let at = 0; at < old.length; at += 2) {
      const oldFirst = old[at] as number;
      const oldLast = old[at + 1] as number;
      if (oldLast < from - 1) merged.push(oldFirst, oldLast);
      else if (oldFirst > to + 1) {
        merged.push(from, to);
        [from, to] = [oldFirst, oldLast];
      } else [from, to] = [Math.min(from, oldFirst), Math.max(to, oldLast)];
    }
    merged.push(from, to);
    this.#sources.set(source, merged);
  }
}
