add_space: INSERT INTO "minidb"."spaces" (name, number) VALUES (%b::text, %b::bigint)
allot_ids: INSERT INTO "minidb"."ids" AS known (space, next) VALUES (%b::text, 1 + %b::bigint) ON CONFLICT (space) DO UPDATE SET next = known.next + %b::bigint RETURNING next
begin_read: BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY; SELECT generation, next_space FROM "minidb"."state"
begin_read_committed: BEGIN ISOLATION LEVEL READ COMMITTED
begin_read_on_standby: BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT generation, next_space FROM "minidb"."state"
begin_state: INSERT INTO "minidb"."state" (generation, next_space) VALUES (0, 1)
begin_write: BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT generation, next_space FROM "minidb"."state"
commit: COMMIT
drop_schema: DROP SCHEMA IF EXISTS "minidb" CASCADE
flush: None
forget_commits: DELETE FROM "minidb"."commits" WHERE key < %b
forget_dropped: DELETE FROM "minidb"."dropped" WHERE number = %b::bigint
forget_ids: DELETE FROM "minidb"."ids" WHERE space = %b::text
is_laid_out: SELECT EXISTS (SELECT FROM information_schema.schemata WHERE schema_name = %b::text), EXISTS (SELECT FROM information_schema.tables WHERE table_schema = %b::text AND table_name = 'marks')
lay_out[0]: CREATE TABLE "minidb"."state" (generation bigint NOT NULL, next_space bigint NOT NULL)
lay_out[1]: CREATE TABLE "minidb"."spaces" (name text NOT NULL PRIMARY KEY, number bigint NOT NULL)
lay_out[2]: CREATE TABLE "minidb"."dropped" (number bigint NOT NULL PRIMARY KEY, dropped_at timestamptz NOT NULL)
lay_out[3]: CREATE TABLE "minidb"."ids" (space text NOT NULL PRIMARY KEY, next bigint NOT NULL)
lay_out[4]: CREATE TABLE "minidb"."commits" (key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (key))
lay_out[5]: CREATE TABLE "minidb"."probe" (id uuid NOT NULL PRIMARY KEY, value bigint NOT NULL)
lay_out[6]: CREATE TABLE "minidb"."marks" (name text NOT NULL PRIMARY KEY, value text NOT NULL)
long_dropped: SELECT number FROM "minidb"."dropped" WHERE dropped_at < now() - %b::bigint * interval '1 second'
make_schema: CREATE SCHEMA "minidb"
note_commit: INSERT INTO "minidb"."commits" (key, value) VALUES (%b, %b)
note_dropped: INSERT INTO "minidb"."dropped" (number, dropped_at) VALUES (%b::bigint, now())
probe.add: INSERT INTO "minidb"."probe" (id, value) VALUES (%b::uuid, 0)
probe.begin: BEGIN ISOLATION LEVEL SERIALIZABLE
probe.read: SELECT value FROM "minidb"."probe" WHERE id = %b::uuid
probe.remove: DELETE FROM "minidb"."probe" WHERE id = ANY(%b::uuid[])
probe.write: UPDATE "minidb"."probe" SET value = value + 1 WHERE id = %b::uuid
raise_generation: UPDATE "minidb"."state" SET generation = generation + 1, next_space = next_space + %b::bigint
read_marks: SELECT name, value FROM "minidb"."marks"
relax_commit: None
remove_space: DELETE FROM "minidb"."spaces" WHERE name = %b::text
set_mark: INSERT INTO "minidb"."marks" (name, value) VALUES (%b::text, %b::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value
settle_commit: INSERT INTO "minidb"."commits" AS known (key, value) VALUES (%b, %b) ON CONFLICT (key) DO UPDATE SET value = known.value RETURNING value
size: None
spaces: SELECT name, number FROM "minidb"."spaces"
space.clear: DELETE FROM "minidb"."space_7"
space.count: SELECT count(*) FROM "minidb"."space_7"
space.delete: DELETE FROM "minidb"."space_7" WHERE key = ANY(%b::bytea[])
space.get: SELECT value FROM "minidb"."space_7" WHERE key = %b
space.get_many: SELECT key, value FROM "minidb"."space_7" WHERE key = ANY(%b::bytea[])
space.insert: INSERT INTO "minidb"."space_7" (key, value) SELECT key, value FROM unnest(%b::bytea[], %b::bytea[]) AS new (key, value)
space.newest: SELECT generation, (SELECT value FROM "minidb"."space_7" WHERE key = $1) FROM "minidb"."state"
space.number: 7
space.put: INSERT INTO "minidb"."space_7" (key, value) SELECT key, value FROM unnest(%b::bytea[], %b::bytea[]) AS new (key, value) ON CONFLICT (key) DO UPDATE SET value = excluded.value
space.page(key, reverse=False, has_stop=False): SELECT key FROM "minidb"."space_7" WHERE key >= %b ORDER BY key LIMIT %b
space.page(key, reverse=False, has_stop=True): SELECT key FROM "minidb"."space_7" WHERE key >= %b AND key < %b ORDER BY key LIMIT %b
space.page(key, reverse=True, has_stop=False): SELECT key FROM "minidb"."space_7" WHERE key >= %b ORDER BY key DESC LIMIT %b
space.page(key, reverse=True, has_stop=True): SELECT key FROM "minidb"."space_7" WHERE key >= %b AND key < %b ORDER BY key DESC LIMIT %b
space.page(key, value, reverse=False, has_stop=False): SELECT key, value FROM "minidb"."space_7" WHERE key >= %b ORDER BY key LIMIT %b
space.page(key, value, reverse=False, has_stop=True): SELECT key, value FROM "minidb"."space_7" WHERE key >= %b AND key < %b ORDER BY key LIMIT %b
space.page(key, value, reverse=True, has_stop=False): SELECT key, value FROM "minidb"."space_7" WHERE key >= %b ORDER BY key DESC LIMIT %b
space.page(key, value, reverse=True, has_stop=True): SELECT key, value FROM "minidb"."space_7" WHERE key >= %b AND key < %b ORDER BY key DESC LIMIT %b
make_space[0]: DROP TABLE IF EXISTS "minidb"."space_7"
make_space[1]: CREATE TABLE "minidb"."space_7" (key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (key))
drop_space: DROP TABLE IF EXISTS "minidb"."space_7"
