/** A witness in the target that the product does not know of: a trigger that writes down every move of every progress. */
import pg from 'pg';

export interface Move {
  readonly partition: string;
  /** That the row names; a move does not write it, so a zombie's would be told under its successor's. */
  readonly epoch: bigint;
  /** -1 before anything was applied. */
  readonly nextOffset: bigint;
  /** The session that claimed the partition last, and the one that moved it. */
  readonly owner: number;
  readonly mover: number;
  /** At a barrier, where every worker has written down that it may be moved by whoever comes last. */
  readonly isAgreed: boolean;
}

/** From now on; crossfade.progress must be there. */
export async function auditProgress(url: string): Promise<void> {
  await connected(url, (client) =>
    client.query(`
      CREATE TABLE public.audit (
        at bigserial PRIMARY KEY, partition text, epoch bigint, next_offset bigint, owner integer, mover integer, is_agreed boolean);
      CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE agreed boolean := false; BEGIN
        IF TG_OP = 'UPDATE' THEN agreed := OLD.arrival IS NOT NULL AND NEW.arrival IS NULL; END IF;
        INSERT INTO public.audit (partition, epoch, next_offset, owner, mover, is_agreed)
        VALUES (NEW.service || ' ' || NEW.partition, NEW.owner_epoch, NEW.next_offset, NEW.owner_pid, pg_backend_pid(), agreed);
        RETURN NULL;
      END $$;
      CREATE TRIGGER audit AFTER INSERT OR UPDATE ON crossfade.progress FOR EACH ROW EXECUTE FUNCTION public.audit();`),
  );
}

/** All committed ones, within a partition in the order of their commits: the progress's row was locked meanwhile. */
export async function auditedMoves(url: string): Promise<Move[]> {
  const { rows } = await connected(url, (client) =>
    client.query<AuditRow>('SELECT partition, epoch, next_offset, owner, mover, is_agreed FROM public.audit ORDER BY at'),
  );
  return rows.map(({ partition, epoch, next_offset: offset, owner, mover, is_agreed: isAgreed }) => ({
    partition,
    epoch: BigInt(epoch),
    nextOffset: BigInt(offset ?? -1),
    owner,
    mover,
    isAgreed,
  }));
}

interface AuditRow {
  readonly partition: string;
  readonly epoch: string;
  readonly next_offset: string | null;
  readonly owner: number;
  readonly mover: number;
  readonly is_agreed: boolean;
}

/** Moves by a session whose place another had taken, and moves back: none may be. */
export function zombieMoves(moves: readonly Move[]): string[] {
  const last = new Map<string, Move>();
  return moves.flatMap((move) => {
    const { partition, epoch, nextOffset, owner, mover } = move;
    const before = last.get(partition);
    last.set(partition, move);
    const at = `${partition} at ${nextOffset}`;
    if (mover !== owner && !move.isAgreed) return [`${at}: moved by session ${mover}, which session ${owner} had followed`];
    if (before === undefined || (epoch >= before.epoch && nextOffset >= before.nextOffset)) return [];
    return [`${at}: owner ${epoch} after owner ${before.epoch} at ${before.nextOffset}`];
  });
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
