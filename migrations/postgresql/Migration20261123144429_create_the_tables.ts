import { Migration } from '@mikro-orm/migrations';

export class Migration20261123144429_create_the_tables extends Migration {

  override name = 'Migration20261123144429_create_the_tables';

  override up(): void | Promise<void> {
    this.addSql(`create table "audit_events" ("id" bigserial primary key, "created_at" timestamptz(3) not null default now(), "event" varchar(50) not null, "user_public_id" uuid null, "session_public_id" uuid null, "reason" varchar(50) null, "sessions" int null, "ip" text null, "user_agent" varchar(400) null, "request_id" varchar(128) null, "kept_until" timestamptz(3) not null);`);
    this.addSql(`comment on column "audit_events"."ip" is 'encrypted';`);
    this.addSql(`create index "audit_events_user" on "audit_events" ("user_public_id", "id");`);
    this.addSql(`create index "audit_events_kept_until" on "audit_events" ("kept_until");`);

    this.addSql(`create table "idempotency_keys" ("key" varchar(64) not null, "request_hash" varchar(64) not null, "answer" text null, "created_at" timestamptz(3) not null default now(), "expires_at" timestamptz(3) not null, primary key ("key"));`);
    this.addSql(`create index "idempotency_keys_expires_at" on "idempotency_keys" ("expires_at");`);

    this.addSql(`create table "throttles" ("key" varchar(64) not null, "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now(), "attempts" int not null default 1, "until" timestamptz(3) not null, primary key ("key"));`);
    this.addSql(`create index "throttles_updated_at" on "throttles" ("updated_at");`);

    this.addSql(`create table "users" ("id" bigserial primary key, "public_id" uuid not null default gen_random_uuid(), "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now(), "version" int not null default 1, "deleted_at" timestamptz(3) null, "is_deleted" boolean generated always as (deleted_at is not null) stored not null, "email" varchar(254) not null, "password_hash" varchar(255) not null, "first_name" varchar(100) not null, "last_name" varchar(100) not null, "role" text not null default 'user', "is_active" boolean not null default true, "is_verified" boolean not null default false, "password_changed_at" timestamptz(3) not null default now(), "last_login" timestamptz(3) null, "last_login_ip" text null);`);
    this.addSql(`comment on column "users"."last_login_ip" is 'encrypted';`);
    this.addSql(`alter table "users" add constraint "users_public_id_unique" unique ("public_id");`);
    this.addSql(`create unique index "users_email_unique" on "users" ("email") where deleted_at is null;`);

    this.addSql(`create table "sessions" ("id" bigserial primary key, "public_id" uuid not null default gen_random_uuid(), "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now(), "user_id" bigint not null, "gen" int not null default 0, "confirmed_gen" int not null default 0, "rotation_id" uuid null, "rotated_at" timestamptz(3) not null default now(), "expires_at" timestamptz(3) not null, "idle_expires_at" timestamptz(3) not null, "revoked_at" timestamptz(3) null, "revoke_reason" text null, "ip" text null, "user_agent" varchar(400) null);`);
    this.addSql(`comment on column "sessions"."ip" is 'encrypted';`);
    this.addSql(`alter table "sessions" add constraint "sessions_public_id_unique" unique ("public_id");`);
    this.addSql(`create index "sessions_user_id_index" on "sessions" ("user_id");`);
    this.addSql(`create index "sessions_revoked_at" on "sessions" ("revoked_at") where revoked_at is not null;`);
    this.addSql(`create index "sessions_expires_at" on "sessions" ("expires_at");`);
    this.addSql(`create index "sessions_idle_expires_at" on "sessions" ("idle_expires_at");`);

    this.addSql(`create table "items" ("id" bigserial primary key, "public_id" uuid not null default gen_random_uuid(), "created_at" timestamptz(3) not null default now(), "updated_at" timestamptz(3) not null default now(), "version" int not null default 1, "deleted_at" timestamptz(3) null, "is_deleted" boolean generated always as (deleted_at is not null) stored not null, "name" varchar(100) not null, "description" text null, "name_folded" text collate "C" not null, "description_folded" text collate "C" null, "status" text not null default 'draft', "priority" int not null default 1, "owner_id" bigint null);`);
    this.addSql(`alter table "items" add constraint "items_public_id_unique" unique ("public_id");`);
    this.addSql(`create index "items_newest" on "items" ("created_at", "id", "deleted_at") where deleted_at is null;`);
    this.addSql(`create index "items_by_status" on "items" ("status", "created_at", "id", "deleted_at") where deleted_at is null;`);
    this.addSql(`create index "items_by_priority" on "items" ("priority", "created_at", "id", "deleted_at") where deleted_at is null;`);
    this.addSql(`create index "items_by_name" on "items" ("name_folded", "id") where deleted_at is null;`);
    this.addSql(`create index "items_by_owner" on "items" ("owner_id", "created_at", "id", "deleted_at");`);
    this.addSql(`create extension if not exists pg_trgm;`);
    this.addSql(`create index items_search on items using gin (name_folded gin_trgm_ops, description_folded gin_trgm_ops) where deleted_at is null;`);

    this.addSql(`create or replace function "audit_events_audit_events_unchanged_fn"() returns trigger as \$\$ begin raise exception 'audit events are not changed'; end; \$\$ language plpgsql;`);
    this.addSql(`create trigger "audit_events_unchanged" BEFORE UPDATE on "audit_events" for each ROW
  when ((old.id, old.created_at, old.event, old.user_public_id, old.session_public_id, old.reason, old.sessions, old.user_agent, old.request_id, old.kept_until, old.ip is null) is distinct from (new.id, new.created_at, new.event, new.user_public_id, new.session_public_id, new.reason, new.sessions, new.user_agent, new.request_id, new.kept_until, new.ip is null)) execute function "audit_events_audit_events_unchanged_fn"();`);
    this.addSql(`create or replace function "audit_events_audit_events_kept_fn"() returns trigger as \$\$ begin raise exception 'audit events are kept until kept_until'; end; \$\$ language plpgsql;`);
    this.addSql(`create trigger "audit_events_kept" BEFORE DELETE on "audit_events" for each ROW
  when (old.kept_until > now()) execute function "audit_events_audit_events_kept_fn"();`);
    this.addSql(`create or replace function "audit_events_audit_events_not_truncated_fn"() returns trigger as \$\$ begin raise exception 'audit events are kept until kept_until'; end; \$\$ language plpgsql;`);
    this.addSql(`create trigger "audit_events_not_truncated" BEFORE TRUNCATE on "audit_events" for each STATEMENT execute function "audit_events_audit_events_not_truncated_fn"();`);

    this.addSql(`alter table "users" add constraint "users_email_lower_case" check (email = lower(email));`);
    this.addSql(`alter table "users" add constraint "users_role_check" check ("role" in ('user', 'moderator', 'admin', 'super_admin'));`);

    this.addSql(`alter table "sessions" add constraint "sessions_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade;`);
    this.addSql(`alter table "sessions" add constraint "sessions_gen_range" check (gen >= 0 and confirmed_gen >= 0 and confirmed_gen <= gen);`);
    this.addSql(`alter table "sessions" add constraint "sessions_revoked_with_reason" check ((revoked_at is null) = (revoke_reason is null));`);
    this.addSql(`alter table "sessions" add constraint "sessions_revoke_reason_check" check ("revoke_reason" in ('logout', 'logout_all', 'password_change', 'deactivated', 'refresh_reuse', 'revoked'));`);

    this.addSql(`alter table "items" add constraint "items_owner_id_foreign" foreign key ("owner_id") references "users" ("id") on delete set null;`);
    this.addSql(`alter table "items" add constraint "items_priority_range" check (priority >= 1 and priority <= 5);`);
    this.addSql(`alter table "items" add constraint "items_status_check" check ("status" in ('draft', 'active', 'archived'));`);
  }

  override down(): void | Promise<void> {
    this.addSql(`alter table "sessions" drop constraint "sessions_user_id_foreign";`);
    this.addSql(`alter table "items" drop constraint "items_owner_id_foreign";`);

    this.addSql(`drop trigger if exists "audit_events_unchanged" on "audit_events";`);
    this.addSql(`drop function if exists "audit_events_audit_events_unchanged_fn"();`);
    this.addSql(`drop trigger if exists "audit_events_kept" on "audit_events";`);
    this.addSql(`drop function if exists "audit_events_audit_events_kept_fn"();`);
    this.addSql(`drop trigger if exists "audit_events_not_truncated" on "audit_events";`);
    this.addSql(`drop function if exists "audit_events_audit_events_not_truncated_fn"();`);
    this.addSql(`drop table if exists "audit_events" cascade;`);
    this.addSql(`drop table if exists "idempotency_keys" cascade;`);
    this.addSql(`drop table if exists "throttles" cascade;`);
    this.addSql(`drop table if exists "users" cascade;`);
    this.addSql(`drop table if exists "sessions" cascade;`);
    this.addSql(`drop table if exists "items" cascade;`);
  }

}
