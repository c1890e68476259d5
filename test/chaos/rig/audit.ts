/** A witness in the target that the product does not know of: a trigger that writes down every move of every progress. */
import pg from 'pg';

export interface Move {
  readonly partition: string;
  readonly epoch: bigint;
  /** -1 before anything was applied. */
  readonly nextOffset: bigint;
}

/** From now on; crossfade.progress must be there. */
export async function auditProgress(url: string): Promise<void> {
  await connected(url, (client) =>
    client.query(`
      CREATE TABLE public.audit (at bigserial PRIMARY KEY, partition text, epoch bigint, next_offset bigint);
      CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.audit (partition, epoch, next_offset) VALUES (NEW.service || ' ' || NEW.partition, NEW.owner_epoch, NEW.next_offset);
        RETURN NULL;
      END $$;
      CREATE TRIGGER audit AFTER INSERT OR UPDATE ON crossfade.progress FOR EACH ROW EXECUTE FUNCTION public.audit();`),
  );
}

/** All committed ones, within a partition in the order of their commits: the progress's row was locked meanwhile. */
export async function auditedMoves(url: string): Promise<Move[]> {
  const { rows } = await connected(url, (client) =>
    client.query<{ partition: string; epoch: string; next_offset: string | null }>(
      'SELECT partition, epoch, next_offset FROM public.audit ORDER BY at',
    ),
  );
  return rows.map((row) => ({ partition: row.partition, epoch: BigInt(row.epoch), nextOffset: BigInt(row.next_offset ?? -1) }));
}

/** Moves by an owner whose place was taken before, and moves back: none may be. */
export function zombieMoves(moves: readonly Move[]): string[] {
  const last = new Map<string, Move>();
  return moves.flatMap((move) => {
    const before = last.get(move.partition);
    last.set(move.partition, move);
    if (before === undefined || (move.epoch >= before.epoch && move.nextOffset >= before.nextOffset)) return [];
    return [`${move.partition}: owner ${move.epoch} at ${move.nextOffset} after owner ${before.epoch} at ${before.nextOffset}`];
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
