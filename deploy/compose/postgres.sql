-- Runs once, when Postgres fills its volume.
\set password `cat /run/secrets/postgres_crossfade`
CREATE ROLE crossfade LOGIN PASSWORD :'password';
-- For its own schema, where the progress is kept.
GRANT CREATE, TEMPORARY ON DATABASE orders TO crossfade;

-- As `crossfade check --statements` prints it for shop.orders.
CREATE TABLE public.orders (
  id numeric(20) NOT NULL,
  customer varchar(80) NOT NULL,
  total numeric(12, 2) NOT NULL,
  status text NOT NULL,
  placed_at timestamptz(3) NOT NULL,
  PRIMARY KEY (id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON public.orders TO crossfade;
