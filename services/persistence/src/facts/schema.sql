-- What is looked up. Players are their numbers as signed integers of the same bits, times are milliseconds since 1970, and
-- positions are those of the log of events. A change here builds all views again.

-- Events as they came, so that nothing that this build does not know of them is lost.
CREATE TABLE events (position INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Who and which match an event is about; `class` is how it must be treated, from 0 (public) to 3 (internal).
CREATE TABLE player_history (
    player INTEGER, position INTEGER, class INTEGER NOT NULL, PRIMARY KEY (player, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE match_history (
    match BLOB, position INTEGER, class INTEGER NOT NULL, PRIMARY KEY (match, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE matches (
    match BLOB PRIMARY KEY, map TEXT NOT NULL, mode TEXT NOT NULL, tick_rate INTEGER NOT NULL, rules_hash BLOB NOT NULL,
    started_ms INTEGER NOT NULL, started_at INTEGER NOT NULL,
    ended_ms INTEGER, ended_at INTEGER, outcome INTEGER, winner INTEGER, ticks INTEGER, recording_hash BLOB
) STRICT, WITHOUT ROWID;

-- One for each time that somebody took a slot and left it or was there at the end.
CREATE TABLE results (
    match BLOB, number INTEGER, player INTEGER NOT NULL, slot INTEGER NOT NULL, team INTEGER NOT NULL, won INTEGER NOT NULL,
    score INTEGER NOT NULL, kills INTEGER NOT NULL, deaths INTEGER NOT NULL, assists INTEGER NOT NULL,
    ticks_played INTEGER NOT NULL, PRIMARY KEY (match, number)
) STRICT, WITHOUT ROWID;

-- The matches that a player was in, by the position at which that was first told.
CREATE TABLE played (player INTEGER, match BLOB, at INTEGER NOT NULL, PRIMARY KEY (player, match)) STRICT, WITHOUT ROWID;
CREATE INDEX played_in_order ON played (player, at);

-- Sums over the matches that ended.
CREATE TABLE players (
    player INTEGER PRIMARY KEY, matches INTEGER NOT NULL, wins INTEGER NOT NULL, score INTEGER NOT NULL,
    kills INTEGER NOT NULL, deaths INTEGER NOT NULL, assists INTEGER NOT NULL, ticks_played INTEGER NOT NULL,
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE achievements (
    player INTEGER, achievement TEXT, progress INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    PRIMARY KEY (player, achievement)
) STRICT, WITHOUT ROWID;

-- `what` is 1 for kills, 2 for deaths, 3 for things picked up; `cause` is the kind of cause, 0 for things.
CREATE TABLE tallies (
    player INTEGER, what INTEGER, cause INTEGER, number INTEGER, count INTEGER NOT NULL, headshots INTEGER NOT NULL,
    PRIMARY KEY (player, what, cause, number)
) STRICT, WITHOUT ROWID;

-- Events that wait for a player, and why the first of them does. Player 0 is for what is about nobody; there each waits alone.
CREATE TABLE waiting (player INTEGER, position INTEGER, PRIMARY KEY (player, position)) STRICT, WITHOUT ROWID;
CREATE TABLE waiting_why (player INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- How many of the replays that were asked for are done, and how many events wait in all.
CREATE TABLE counts (
    one INTEGER PRIMARY KEY CHECK (one = 1), replayed INTEGER NOT NULL, waiting INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES (1, 0, 0);
