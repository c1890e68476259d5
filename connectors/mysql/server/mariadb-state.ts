/** What a MariaDB server has executed: its binlog's state by domain and server, and where its oldest file begins. */
import type { Metadata } from './metadata.ts';
import type { ExecutedSet } from '../position/executed.ts';
import { MariadbGtids, gtidsInText, mariadbGtidText, type MariadbGtid } from '../position/mariadb-gtid.ts';
import { binlogFiles, noBinlog, type ServerState } from './state-questions.ts';

export async function mariadbState(metadata: Metadata): Promise<ServerState> {
  // Before anything else: what was committed until then is in the answers.
  const { nowUs, offsetUs } = await metadata.clock();
  const [first] = await metadata.rows(
    `SELECT @@GLOBAL.log_bin AS log, @@GLOBAL.server_id AS id, @@GLOBAL.hostname AS host, @@GLOBAL.port AS port, @@GLOBAL.gtid_binlog_pos AS pos,
            @@GLOBAL.gtid_binlog_state AS state, @@GLOBAL.gtid_slave_pos AS replicated, @@GLOBAL.gtid_strict_mode AS strict`,
  );
  if (!first || Number(first['log']) !== 1) throw noBinlog();
  const [status] = await metadata.rows(await metadata.statusStatement());
  if (!status) throw noBinlog();
  const files = await binlogFiles(metadata);
  const history = new MariadbHistory(
    gtidsInText(String(first['state'])),
    gtidsInText(String(first['replicated'])),
    await oldestGtids(metadata, files),
  );
  return {
    flavor: 'mariadb',
    uuid: serverIdentity(String(first['id']), String(first['host']), String(first['port'])),
    gtidMode: true,
    executed: MariadbGtids.parse(String(first['pos'])),
    has: (set) => history.has(set),
    wentBack: (set) => (Number(first['strict']) === 0 ? history.wentBack(set) : undefined),
    reaches: (set) => history.reaches(set),
    files,
    end: { file: String(status['File']), offset: Number(status['Position']) },
    nowUs,
    clockOffsetUs: offsetUs,
  };
}

/**
 * MariaDB has no server_uuid (server_uid, where there is one, is of the machine and its port). Servers of one topology differ
 * in server_id, and two that were set up alike in their host or port. A server that is taken for another costs an epoch; one
 * that is taken for the same is found out by its GTIDs and by the last transaction.
 */
const serverIdentity = (serverId: string, host: string, port: string): string => `mariadb:${serverId}@${host}:${port}`;

/** What lies before the oldest file that is left: its GTID_LIST, in the order of the event. */
async function oldestGtids(metadata: Metadata, files: ReadonlyMap<string, number>): Promise<readonly MariadbGtid[]> {
  const [oldest] = files.keys();
  if (oldest === undefined) return [];
  const events = await metadata.rows('SHOW BINLOG EVENTS IN ? LIMIT 4', [oldest]);
  const list = events.find((row) => row['Event_type'] === 'Gtid_list');
  return gtidsInText(String(list?.['Info'] ?? ''));
}

/** The rules by which the server itself judges a replica that connects. */
export class MariadbHistory {
  readonly #state: readonly MariadbGtid[];
  readonly #replicated: readonly MariadbGtid[];
  readonly #before: readonly MariadbGtid[];

  /** `state`: the last transaction of each domain and server in the binlog; `replicated`: gtid_slave_pos; `before`: see oldestGtids. */
  constructor(state: readonly MariadbGtid[], replicated: readonly MariadbGtid[], before: readonly MariadbGtid[]) {
    this.#state = state;
    this.#replicated = replicated;
    this.#before = before;
  }

  /**
   * A server that was made from a backup has only what came since in its binlog, and gtid_slave_pos says where it came in:
   * what its origin wrote up to there, it has.
   */
  has(set: ExecutedSet): boolean {
    return gtidsInText(set.toString()).every(
      (gtid) =>
        this.#state.some((known) => isAtOrBehind(known, gtid)) ||
        (!this.#state.some(({ domain, server }) => domain === gtid.domain && server === gtid.server) &&
          this.#replicated.some(({ domain, sequence }) => domain === gtid.domain && sequence >= gtid.sequence)),
    );
  }

  /** A GTID whose own server is known with a lower sequence: it numbered again what came behind, unless it lost what came before. */
  wentBack(set: ExecutedSet): string | undefined {
    const found = gtidsInText(set.toString()).find((gtid) =>
      this.#state.some((known) => isAtOrBehind(gtid, known) && !isAtOrBehind(known, gtid)),
    );
    return found && mariadbGtidText(found);
  }

  /** A GTID that begins the oldest file is enough when it is the last of its domain there; a domain that is not named begins at its first. */
  reaches(set: ExecutedSet): boolean {
    const wanted = new Map(gtidsInText(set.toString()).map((gtid) => [gtid.domain, gtid]));
    const lastOf = new Map(this.#before.map((gtid) => [gtid.domain, gtid]));
    const isPurged = this.#before.some((gtid) => {
      const from = wanted.get(gtid.domain);
      if (!from) return true;
      if (from.server !== gtid.server || from.sequence > gtid.sequence) return false;
      return from.sequence !== gtid.sequence || lastOf.get(gtid.domain) !== gtid;
    });
    return !isPurged && [...wanted.values()].every((gtid) => this.#isKnown(gtid));
  }

  /** In the binlog, or the very place where this server's own binlog goes on from. */
  #isKnown(gtid: MariadbGtid): boolean {
    return (
      this.#state.some((known) => isAtOrBehind(known, gtid)) ||
      this.#replicated.some(
        ({ domain, server, sequence }) => domain === gtid.domain && server === gtid.server && sequence === gtid.sequence,
      )
    );
  }
}

const isAtOrBehind = (known: MariadbGtid, gtid: MariadbGtid): boolean =>
  known.domain === gtid.domain && known.server === gtid.server && known.sequence >= gtid.sequence;
