/** MariaDB's GTID position: the last transaction of each domain, `domain-server-sequence`. Pure; the text is MariaDB's. */
import { CrossfadeError } from '../../../src/core/errors.ts';

export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  readonly sequence: number;
}

function invalid(text: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_POSITION_INVALID',
    fault: 'fatal',
    message: `"${text.slice(0, 80)}" is not a GTID position of MariaDB`,
    remedy:
      'A GTID position of MariaDB looks like 0-1-12345 (one for each domain, with commas); SELECT @@GLOBAL.gtid_binlog_pos prints one.',
  });
}

const gtidPattern = /^(\d{1,10})-(\d{1,10})-(\d{1,16})$/;
const largest32 = 0xffffffff;

function parseMariadbGtid(text: string): MariadbGtid {
  const parts = gtidPattern.exec(text);
  const [domain = 0, server = 0, sequence = 0] = parts?.slice(1).map(Number) ?? [];
  if (!parts || domain > largest32 || server > largest32 || sequence < 1 || !Number.isSafeInteger(sequence)) throw invalid(text);
  return { domain, server, sequence };
}

export const mariadbGtidText = ({ domain, server, sequence }: MariadbGtid): string => `${domain}-${server}-${sequence}`;

/** As text in a list, in the order that it stands in: of gtid_binlog_pos, gtid_binlog_state or a GTID_LIST event. */
export function gtidsInText(text: string): readonly MariadbGtid[] {
  const plain = text.replace(/[\s[\]]/g, '');
  return plain === '' ? [] : plain.split(',').map(parseMariadbGtid);
}

export class MariadbGtids {
  readonly #domains = new Map<number, MariadbGtid>();

  static parse(text: string): MariadbGtids {
    const gtids = new MariadbGtids();
    for (const gtid of gtidsInText(text)) {
      if (gtids.#domains.has(gtid.domain)) throw invalid(text);
      gtids.#domains.set(gtid.domain, gtid);
    }
    return gtids;
  }

  get empty(): boolean {
    return this.#domains.size === 0;
  }

  /** Always the newest of its domain: a binlog's order is the order, even where sequences go back (gtid_strict_mode OFF). */
  add(gtid: string): void {
    const parsed = parseMariadbGtid(gtid);
    this.#domains.set(parsed.domain, parsed);
  }

  merge(other: MariadbGtids): void {
    for (const gtid of other.#domains.values()) {
      if ((this.#domains.get(gtid.domain)?.sequence ?? 0) < gtid.sequence) this.#domains.set(gtid.domain, gtid);
    }
  }

  /** By sequence: within a domain they grow, whichever server wrote them (`check` demands gtid_strict_mode). */
  has(gtid: string): boolean {
    const { domain, sequence } = parseMariadbGtid(gtid);
    return (this.#domains.get(domain)?.sequence ?? 0) >= sequence;
  }

  contains(other: MariadbGtids): boolean {
    return [...other.#domains.values()].every(({ domain, sequence }) => (this.#domains.get(domain)?.sequence ?? 0) >= sequence);
  }

  remove(gtid: string, before: string | null): void {
    const { domain } = parseMariadbGtid(gtid);
    if (!this.has(gtid)) return;
    if (before === null) this.#domains.delete(domain);
    else this.#domains.set(domain, parseMariadbGtid(before));
  }

  predecessor(gtid: string): string | null {
    const last = this.#domains.get(parseMariadbGtid(gtid).domain);
    return last ? mariadbGtidText(last) : null;
  }

  copy(): MariadbGtids {
    const gtids = new MariadbGtids();
    for (const [domain, gtid] of this.#domains) gtids.#domains.set(domain, gtid);
    return gtids;
  }

  /** As MariaDB prints it, by domain. */
  toString(): string {
    return [...this.#domains.values()]
      .toSorted((a, b) => a.domain - b.domain)
      .map(mariadbGtidText)
      .join(',');
  }
}
