/** What the shop's staff and customers do: each answer is one transaction, decided without touching a server. */
import type { Random } from './random.ts';
import { bestsellers } from './shop.ts';

type Parameter = string | number | null;
interface Statement {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  /** A savepoint takes it back: its rows are no changes. */
  readonly isUndone?: true;
}
export interface Plan {
  readonly statements: readonly Statement[];
  readonly end: 'COMMIT' | 'ROLLBACK';
  /** Applied to the model once the commit was answered; `insertId` is that of the first statement. */
  readonly learn?: (model: Model, insertId: number) => void;
  /** This plan inserts an order and writes this revision to a bestseller: the two places where lag is measured. */
  readonly pulse?: { readonly sku: string; readonly revision: number };
}

/** What the workload knows of the shop: enough to name rows that exist. Read again from the server after a lost connection. */
export interface Model {
  customers: number[];
  /** Oldest first. */
  orders: number[];
  skus: string[];
  nextSku: number;
  revision: number;
}

const keptOrders = 4000;
const keptCustomers = 1500;
const newest = 60;
const firstNames = [
  'Ada',
  'Béla',
  'Chloë',
  'Đorđe',
  'Eszter',
  'Fatima',
  'Grace',
  'Håkon',
  'Ines',
  'Jürgen',
  'Kōji',
  'Łucja',
  '美咲',
  'Ольга',
];
const lastNames = ['Lovelace', 'Núñez', "O'Brien", 'Þórsdóttir', 'Müller', 'Šimić', 'van der Berg', 'Yılmaz', '田中', 'Иванова'];
const notes = ['🎁 wrap it, please', 'says "thanks" \\o/', 'ring twice\nthen leave it', '👩‍👩‍👧‍👦 family account', '100 % cotton; no wool', ''];

const now = () => new Date().toISOString().replace('T', ' ').slice(0, 23);
const sql = (text: string, ...parameters: Parameter[]): Statement => ({ sql: text, parameters });
const money = (random: Random, high: number) => (random.integer(99, high * 100) / 100).toFixed(2);

/** The next transaction; the kinds and their weights are those of a small shop with impatient staff. */
export function nextPlan(model: Model, random: Random): Plan {
  if (model.orders.length > keptOrders) return archiveOrders(model);
  const roll = random.next();
  if (roll < 0.34 || model.orders.length < newest * 2) return placeOrder(model, random);
  if (roll < 0.56) return advanceOrder(model, random);
  if (roll < 0.66) return joinOrLeave(model, random);
  if (roll < 0.76) return editCustomer(model, random);
  if (roll < 0.82) return returnOrder(model, random);
  if (roll < 0.87) return restock(random);
  if (roll < 0.91) return renameSku(model, random);
  if (roll < 0.93) return renumberLines(model, random);
  if (roll < 0.97) return changeOfMind(model, random);
  return halfAChangeOfMind(model, random);
}

/** Statements that fill an empty shop: customers and stock. */
export function openingPlans(random: Random): Plan[] {
  const plans: Plan[] = [];
  const skus = [...bestsellers, ...Array.from({ length: 397 }, (_, index) => skuName(index + 1))];
  for (let from = 0; from < skus.length; from += 100) {
    const rows = skus.slice(from, from + 100);
    const values = rows.map(() => '(?,?,?,?,NULL,0,?)').join(',');
    const parameters = rows.flatMap((sku) => [
      sku,
      `${random.pick(['Green', 'Black', 'White'])} tea ${sku} 🍵`,
      money(random, 90),
      random.integer(0, 500),
      now(),
    ]);
    plans.push({ statements: [sql(`INSERT INTO stock VALUES ${values}`, ...parameters)], end: 'COMMIT' });
  }
  for (let from = 0; from < 500; from += 100) {
    const rows = Array.from({ length: 100 }, () => customer(random));
    plans.push({
      statements: [sql(`INSERT INTO customers (${customerColumns}) VALUES ${rows.map(() => '(?,?,?,?,?,?,?)').join(',')}`, ...rows.flat())],
      end: 'COMMIT',
    });
  }
  return plans;
}

const skuName = (number: number) => `SKU-${String(number).padStart(5, '0')}`;
const customerColumns = 'full_name, email, tier, credit, note, created_at, updated_at';

function customer(random: Random): Parameter[] {
  const name = `${random.pick(firstNames)} ${random.pick(lastNames)}`;
  const email = `${random.integer(1, 1e9).toString(36)}@example.com`;
  return [
    name,
    email,
    random.pick(['new', 'regular', 'gold']),
    money(random, 500),
    random.chance(0.4) ? random.pick(notes) : null,
    now(),
    now(),
  ];
}

/** Several tables in one transaction: the order, its lines, and the stock of what was bought. */
function placeOrder(model: Model, random: Random): Plan {
  const lines = random.integer(1, 4);
  const bestseller = random.pick(bestsellers);
  const revision = model.revision + 1;
  const total = money(random, 300);
  const statements = [
    sql(
      'INSERT INTO orders (customer_id, status, total, currency, coupon, placed_at, updated_at) VALUES (?,?,?,?,?,?,?)',
      random.pick(model.customers),
      'placed',
      total,
      random.pick(['EUR', 'USD', 'JPY']),
      random.chance(0.2) ? `TEA${random.integer(5, 50)}` : null,
      now(),
      now(),
    ),
  ];
  for (let line = 1; line <= lines; line += 1) {
    const sku = line === 1 ? bestseller : random.pick(model.skus);
    const note = random.chance(0.1) ? random.pick(notes) : null;
    statements.push(
      sql('INSERT INTO order_items VALUES (LAST_INSERT_ID(),?,?,?,?,?)', line, sku, random.integer(1, 9), money(random, 90), note),
    );
  }
  statements.push(
    sql('UPDATE stock SET available = available - 1, revision = ?, updated_at = ? WHERE sku = ?', revision, now(), bestseller),
  );
  return {
    statements,
    end: 'COMMIT',
    pulse: { sku: bestseller, revision },
    learn: (shop, insertId) => {
      shop.orders.push(insertId);
      shop.revision = revision;
    },
  };
}

function advanceOrder(model: Model, random: Random): Plan {
  const order = model.orders[random.integer(Math.max(0, model.orders.length - newest), model.orders.length - 1)] ?? 0;
  const status = random.pick(['paid', 'packed', 'shipped']);
  return { statements: [sql('UPDATE orders SET status = ?, updated_at = ? WHERE id = ?', status, now(), order)], end: 'COMMIT' };
}

function joinOrLeave(model: Model, random: Random): Plan {
  if (model.customers.length < keptCustomers || random.chance(0.5)) {
    return {
      statements: [sql(`INSERT INTO customers (${customerColumns}) VALUES (?,?,?,?,?,?,?)`, ...customer(random))],
      end: 'COMMIT',
      learn: (shop, insertId) => shop.customers.push(insertId),
    };
  }
  const leaves = random.integer(0, model.customers.length - 1);
  const id = model.customers[leaves] ?? 0;
  return {
    statements: [sql('DELETE FROM customers WHERE id = ?', id)],
    end: 'COMMIT',
    learn: (shop) => shop.customers.splice(leaves, 1),
  };
}

function editCustomer(model: Model, random: Random): Plan {
  const note = random.chance(0.3) ? null : random.pick(notes);
  const set = 'UPDATE customers SET credit = credit + ?, note = ?, tier = ?, updated_at = ? WHERE id = ?';
  return {
    statements: [sql(set, money(random, 20), note, random.pick(['regular', 'gold']), now(), random.pick(model.customers))],
    end: 'COMMIT',
  };
}

function returnOrder(model: Model, random: Random): Plan {
  // Never one of the newest: lag is measured by the newest order's arrival.
  const index = random.integer(0, model.orders.length - newest - 1);
  const order = model.orders[index] ?? 0;
  return {
    statements: [
      sql(
        'UPDATE stock SET available = available + 1, updated_at = ? WHERE sku IN (SELECT sku FROM order_items WHERE order_id = ?)',
        now(),
        order,
      ),
      sql('DELETE FROM order_items WHERE order_id = ?', order),
      sql('DELETE FROM orders WHERE id = ?', order),
    ],
    end: 'COMMIT',
    learn: (shop) => shop.orders.splice(index, 1),
  };
}

/** Keeps an endless demo from growing for ever: the oldest orders leave with their lines. */
function archiveOrders(model: Model): Plan {
  const last = model.orders[9] ?? 0;
  return {
    statements: [sql('DELETE FROM order_items WHERE order_id <= ?', last), sql('DELETE FROM orders WHERE id <= ?', last)],
    end: 'COMMIT',
    learn: (shop) => shop.orders.splice(0, 10),
  };
}

/** One statement that changes many rows. */
function restock(random: Random): Plan {
  const by = random.chance(0.5) ? null : random.pick(firstNames);
  const set = 'UPDATE stock SET available = available + ?, restocked_by = ?, updated_at = ? WHERE sku LIKE ?';
  return {
    statements: [sql(set, random.integer(1, 40), by, now(), `SKU-%${random.integer(0, 99).toString().padStart(2, '0')}`)],
    end: 'COMMIT',
  };
}

/** A key change: a row of Postgres and a hash of Redis move to another name. */
function renameSku(model: Model, random: Random): Plan {
  const index = random.integer(0, model.skus.length - 1);
  const next = skuName(model.nextSku);
  return {
    statements: [sql('UPDATE stock SET sku = ?, updated_at = ? WHERE sku = ?', next, now(), model.skus[index] ?? '')],
    end: 'COMMIT',
    learn: (shop) => {
      shop.skus[index] = next;
      shop.nextSku += 1;
    },
  };
}

/** Key changes of several rows at once. */
function renumberLines(model: Model, random: Random): Plan {
  return { statements: [sql('UPDATE order_items SET line = line + 10 WHERE order_id = ?', random.pick(model.orders))], end: 'COMMIT' };
}

/** Must never be seen anywhere else. */
function changeOfMind(model: Model, random: Random): Plan {
  const order = random.pick(model.orders);
  return {
    statements: [
      sql("UPDATE orders SET status = 'returned', total = -1 WHERE id = ?", order),
      sql('DELETE FROM order_items WHERE order_id = ?', order),
    ],
    end: 'ROLLBACK',
  };
}

/** The part behind the savepoint must never be seen, the part before it must. */
function halfAChangeOfMind(model: Model, random: Random): Plan {
  const id = random.pick(model.customers);
  return {
    statements: [
      sql('UPDATE customers SET credit = credit + 1, updated_at = ? WHERE id = ?', now(), id),
      sql('SAVEPOINT careful'),
      { ...sql('DELETE FROM customers WHERE id = ?', id), isUndone: true },
      sql('ROLLBACK TO SAVEPOINT careful'),
    ],
    end: 'COMMIT',
  };
}
