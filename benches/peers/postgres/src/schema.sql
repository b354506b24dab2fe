-- The same double entry as the economy's: an idempotency record, four postings with the balance behind each, balances that are
-- checked, and the entry that a consumer would read. What the economy keeps beside that (a history's digest, claims, an index of
-- postings) is left out, which is in PostgreSQL's favour.

-- number = player * 4 for gold and player * 4 + 1 for gems; below zero what the house takes in, and the issuer. Both are split into
-- 256 rows by player: one row would hold up everybody for a commit, and nobody who knows PostgreSQL would have one.
CREATE TABLE accounts (
    number bigint PRIMARY KEY,
    balance bigint NOT NULL,
    below_zero boolean NOT NULL,
    CHECK (below_zero OR balance >= 0)
) WITH (fillfactor = 50);

CREATE TABLE keys (
    key uuid NOT NULL,
    owner bigint NOT NULL,
    request uuid NOT NULL,
    -- Number of the entry; NULL for a purchase that was refused.
    entry bigint
);

CREATE SEQUENCE numbers CACHE 1;

CREATE TABLE entries (
    number bigint PRIMARY KEY,
    key uuid NOT NULL,
    owner bigint NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL
);

CREATE TABLE postings (
    entry bigint NOT NULL,
    leg smallint NOT NULL,
    account bigint NOT NULL,
    amount bigint NOT NULL,
    balance bigint NOT NULL
);

-- One request, one transaction. The number of its entry; NULL if it was refused.
CREATE FUNCTION purchase(asked uuid, buyer bigint, digest uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    known keys;
    mine bigint := nextval('numbers');
    house bigint := -2 * (buyer % 256) - 1;
    issuer bigint := -2 * (buyer % 256) - 2;
    paid bigint;
    got bigint;
    taken bigint;
    given bigint;
BEGIN
    INSERT INTO keys VALUES (asked, buyer, digest, mine) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO known FROM keys WHERE key = asked AND owner = buyer;
        IF known.request <> digest THEN
            RAISE EXCEPTION 'the key is another request''s';
        END IF;
        RETURN known.entry;
    END IF;
    UPDATE accounts SET balance = balance - 1 WHERE number = buyer * 4 AND balance >= 1 RETURNING balance INTO paid;
    IF NOT FOUND THEN
        UPDATE keys SET entry = NULL WHERE key = asked AND owner = buyer;
        RETURN NULL;
    END IF;
    UPDATE accounts SET balance = balance + 1 WHERE number = buyer * 4 + 1 RETURNING balance INTO got;
    -- Last, since others wait for them.
    UPDATE accounts SET balance = balance + 1 WHERE number = house RETURNING balance INTO taken;
    UPDATE accounts SET balance = balance - 1 WHERE number = issuer RETURNING balance INTO given;
    INSERT INTO entries VALUES (mine, asked, buyer, 'purchase:pouch', clock_timestamp());
    INSERT INTO postings VALUES (mine, 0, buyer * 4, -1, paid), (mine, 1, house, 1, taken), (mine, 2, issuer, -1, given),
        (mine, 3, buyer * 4 + 1, 1, got);
    RETURN mine;
END $$;

-- Many requests, one transaction: done as sets if all of them are new and nobody lacks money, else one by one.
CREATE FUNCTION purchases(asked uuid[], buyers bigint[], digests uuid[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    wanted integer := cardinality(asked);
    added bigint[];
BEGIN
    BEGIN
        WITH new AS (
            INSERT INTO keys SELECT key, owner, digest, nextval('numbers')
            FROM unnest(asked, buyers, digests) AS it (key, owner, digest)
            ON CONFLICT DO NOTHING RETURNING entry
        )
        -- Rows are inserted, and returned, in the order in which they are given.
        SELECT array_agg(entry) INTO added FROM new;
        IF coalesce(cardinality(added), 0) <> wanted THEN
            RAISE EXCEPTION USING errcode = 'unique_violation';
        END IF;
        WITH its AS MATERIALIZED (
            SELECT entry, key, owner FROM unnest(added, asked, buyers) AS it (entry, key, owner)
        ), entered AS (
            INSERT INTO entries SELECT entry, key, owner, 'purchase:pouch', clock_timestamp() FROM its
        ), legs AS MATERIALIZED (
            SELECT entry, leg, account, amount FROM its CROSS JOIN LATERAL (VALUES
                (0::smallint, owner * 4, -1::bigint), (1::smallint, -2 * (owner % 256) - 1, 1),
                (2::smallint, -2 * (owner % 256) - 2, -1), (3::smallint, owner * 4 + 1, 1)) AS leg (leg, account, amount)
        ), moved AS (
            UPDATE accounts SET balance = accounts.balance + sums.amount
            FROM (SELECT account, sum(amount)::bigint AS amount FROM legs GROUP BY account) AS sums
            WHERE accounts.number = sums.account
            RETURNING accounts.number, accounts.balance
        )
        INSERT INTO postings SELECT entry, leg, account, amount, moved.balance - coalesce(sum(amount) OVER (
                PARTITION BY account ORDER BY entry, leg ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 0)
            FROM legs JOIN moved ON moved.number = legs.account;
        RETURN added;
    EXCEPTION WHEN unique_violation OR check_violation THEN
        added := '{}';
        FOR at IN 1..wanted LOOP
            added := added || purchase(asked[at], buyers[at], digests[at]);
        END LOOP;
        RETURN added;
    END;
END $$;
