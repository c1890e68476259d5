/** The shop that the demo moves: its tables in MySQL, and where each of them goes. */

export type ColumnKind = 'integer' | 'decimal' | 'text' | 'datetime' | 'timestamp';

export interface ShopTable {
  readonly name: string;
  /** Column names in table order; the target may spell one differently (`renamed`). */
  readonly columns: Readonly<Record<string, ColumnKind>>;
  readonly key: readonly string[];
  readonly definition: string;
  readonly targets: readonly ('postgres' | 'redis')[];
}

export const shopDatabase = 'shop';
/** How the `orders` service calls a customer's name: shows the `rename` transform, and the comparison must know it. */
export const renamed: Readonly<Record<string, Readonly<Record<string, string>>>> = { customers: { full_name: 'name' } };
/** These never change their key and are never deleted, so that lag can be measured by their revision. */
export const bestsellers = ['TEA-0001', 'TEA-0002', 'TEA-0003'] as const;

export const shopTables: readonly ShopTable[] = [
  {
    name: 'customers',
    key: ['id'],
    targets: ['postgres'],
    columns: {
      id: 'integer',
      full_name: 'text',
      email: 'text',
      tier: 'text',
      credit: 'decimal',
      note: 'text',
      created_at: 'datetime',
      updated_at: 'timestamp',
    },
    definition: `CREATE TABLE customers (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  full_name varchar(80) NOT NULL,
  email varchar(120) NOT NULL,
  tier enum('new','regular','gold') NOT NULL DEFAULT 'new',
  credit decimal(12,2) NOT NULL DEFAULT 0.00,
  note text,
  created_at datetime(3) NOT NULL,
  updated_at timestamp(3) NOT NULL,
  PRIMARY KEY (id))`,
  },
  {
    name: 'orders',
    key: ['id'],
    targets: ['postgres'],
    columns: {
      id: 'integer',
      customer_id: 'integer',
      status: 'text',
      total: 'decimal',
      currency: 'text',
      coupon: 'text',
      placed_at: 'datetime',
      updated_at: 'timestamp',
    },
    definition: `CREATE TABLE orders (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  customer_id bigint unsigned NOT NULL,
  status enum('placed','paid','packed','shipped','returned') NOT NULL,
  total decimal(14,2) NOT NULL,
  currency char(3) NOT NULL,
  coupon varchar(20),
  placed_at datetime(3) NOT NULL,
  updated_at timestamp(3) NOT NULL,
  PRIMARY KEY (id), KEY (customer_id))`,
  },
  {
    name: 'order_items',
    key: ['order_id', 'line'],
    targets: ['postgres'],
    columns: { order_id: 'integer', line: 'integer', sku: 'text', quantity: 'integer', price: 'decimal', gift_note: 'text' },
    definition: `CREATE TABLE order_items (
  order_id bigint unsigned NOT NULL,
  line int NOT NULL,
  sku varchar(24) NOT NULL,
  quantity int NOT NULL,
  price decimal(10,2) NOT NULL,
  gift_note text,
  PRIMARY KEY (order_id, line))`,
  },
  {
    name: 'stock',
    key: ['sku'],
    targets: ['postgres', 'redis'],
    columns: {
      sku: 'text',
      title: 'text',
      price: 'decimal',
      available: 'integer',
      restocked_by: 'text',
      revision: 'integer',
      updated_at: 'datetime',
    },
    definition: `CREATE TABLE stock (
  sku varchar(24) NOT NULL,
  title varchar(120) NOT NULL,
  price decimal(10,2) NOT NULL,
  available int NOT NULL,
  restocked_by varchar(60),
  revision bigint unsigned NOT NULL DEFAULT 0,
  updated_at datetime(3) NOT NULL,
  PRIMARY KEY (sku))`,
  },
];
