/** The tables under fire, what the services make of them, and the configuration that says so. */
export const sourceTables = [
  `CREATE TABLE accounts (
     id bigint unsigned NOT NULL PRIMARY KEY, name varchar(60) NOT NULL, balance decimal(14,2) NOT NULL,
     score double, tag varbinary(12), state enum('new','open','closed') NOT NULL, note text, seen datetime(6))`,
  `CREATE TABLE entries (
     account bigint unsigned NOT NULL, line int NOT NULL, amount decimal(12,4) NOT NULL, memo varchar(80), PRIMARY KEY (account, line))`,
  `CREATE TABLE items (sku varchar(20) NOT NULL PRIMARY KEY, stock int NOT NULL, price decimal(10,2), title varchar(80))`,
  `CREATE TABLE bulk (id int NOT NULL PRIMARY KEY, round int NOT NULL, body varchar(60) NOT NULL)`,
  `CREATE TABLE ignored (id int NOT NULL PRIMARY KEY AUTO_INCREMENT, text varchar(40))`,
];

export const targetTables = [
  `CREATE TABLE people (
     id numeric(20) PRIMARY KEY, full_name varchar(60) NOT NULL, balance numeric(14,2) NOT NULL,
     score double precision, tag bytea, state text NOT NULL, note text, seen timestamp(6))`,
  `CREATE TABLE entries (account numeric(20), line integer, amount numeric(12,4) NOT NULL, memo varchar(80), PRIMARY KEY (account, line))`,
  `CREATE TABLE items (sku varchar(20) PRIMARY KEY, stock integer NOT NULL, price numeric(10,2), title varchar(80))`,
  `CREATE TABLE bulk (id integer PRIMARY KEY, round integer NOT NULL, body varchar(60) NOT NULL)`,
];

export interface Addresses {
  readonly mysql: string;
  readonly postgres: string;
  readonly redis: string;
  readonly database: string;
  readonly keyPrefix: string;
}

export interface Setting {
  /** What `log:` says. */
  readonly log: string;
  /** Of the ledger's stream. */
  readonly partitions: number;
  /** Further lines of the top level. */
  readonly more?: string;
}

export function configuration({ mysql, postgres, redis, database, keyPrefix }: Addresses, { log, partitions, more = '' }: Setting): string {
  return `pipeline: ${database}
source:
  mysql: ${mysql}
log: ${log}
http: off
streams:
  ledger: { tables: [${database}.accounts, ${database}.entries], partitions: ${partitions} }
services:
  books:
    postgres: ${postgres}
    tables:
      ${database}.accounts: { to: public.people, transforms: [ { rename: { name: full_name } } ] }
      ${database}.entries: { to: public.entries }
      ${database}.items: { to: public.items }
      ${database}.bulk: { to: public.bulk }
  shelf:
    redis: ${redis}
    tables:
      ${database}.items: { shape: hash, key: "${keyPrefix}item:{sku}" }
      ${database}.accounts: { shape: hash, key: "${keyPrefix}account:{id}", transforms: [ { project: [id, name, state, note] } ] }
${more}`;
}
