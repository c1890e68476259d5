-- Runs once, when MySQL fills its volume. These rows too are in the binlog, which crossfade.yaml reads from its beginning.
SET SESSION sql_log_bin = 1;

GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'crossfade'@'%';

CREATE DATABASE shop;
GRANT SELECT ON shop.* TO 'crossfade'@'%';

CREATE TABLE shop.orders (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer varchar(80) NOT NULL,
  total decimal(12, 2) NOT NULL,
  status enum('placed', 'paid', 'shipped') NOT NULL DEFAULT 'placed',
  placed_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
);

CREATE TABLE shop.stock (
  sku varchar(20) NOT NULL PRIMARY KEY,
  quantity int NOT NULL
);

INSERT INTO shop.orders (customer, total) VALUES ('Ada', 19.90), ('Grace', 240.00), ('Barbara', 7.50);
INSERT INTO shop.stock VALUES ('TEA-0001', 120), ('TEA-0002', 35), ('CUP-0001', 8);
