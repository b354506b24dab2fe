-- Every account that there ever was, as the last entry left it. Players of 64 bits are kept as the same bits, signed.
CREATE TABLE accounts (
    owner INTEGER NOT NULL, asset TEXT NOT NULL, bucket TEXT NOT NULL,
    balance INTEGER NOT NULL, frozen INTEGER NOT NULL,
    PRIMARY KEY (owner, asset, bucket)
) STRICT, WITHOUT ROWID;

-- Assets that are things.
CREATE TABLE items (asset TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Payments with money of the real world: who buys what for how much, when it was begun (milliseconds since 1970), and what became of it:
-- 0 begun, 1 delivered, 2 taken back, 3 paid or taken back with nothing delivered.
CREATE TABLE payments (
    payment BLOB PRIMARY KEY, player INTEGER NOT NULL, product TEXT NOT NULL, currency TEXT NOT NULL, price INTEGER NOT NULL,
    begun INTEGER NOT NULL, became INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX begun ON payments (begun) WHERE became = 0;

-- Number of the next event.
CREATE TABLE next (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO next VALUES (1, 0);
