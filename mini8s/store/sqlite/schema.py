"""The tables of the file, and how an older file becomes a new one.

`user_version` counts the migrations that a file has been through. A release never changes a migration that
has shipped: it appends one.

The log is the whole truth: a key's newest row is its current one, found through the index alone, so that a
value is written once. `log_succession` is the compare-and-swap: two changes that claim to follow the same one
cannot both be stored.
"""

from __future__ import annotations

APPLICATION_ID = 0x6D386B73  # "m8ks", so that `file` and this program know the file again

MIGRATIONS: tuple[str, ...] = (
    """
    create table log (
        revision integer primary key,
        key text not null,
        deleted integer not null,
        created_revision integer not null,
        previous_revision integer not null,
        value blob not null
    ) strict;
    create unique index log_succession on log (key, previous_revision);
    create table meta (name text primary key, value integer not null) strict, without rowid;
    create table ephemeral (prefix text primary key) strict, without rowid;
    create view current as
        select log.key, log.revision, log.created_revision, log.value
        from (select max(revision) as revision from log group by key) join log using (revision)
        where not log.deleted;
    """,
    # Some values are encrypted since: the tables are the same, but an older mini8s must not open the file.
    "",
)
