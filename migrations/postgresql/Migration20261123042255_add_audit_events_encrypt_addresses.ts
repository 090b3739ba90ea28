import { Migration } from '@mikro-orm/migrations';

export class Migration20261123042255_add_audit_events_encrypt_addresses extends Migration {

  override name = 'Migration20261123042255_add_audit_events_encrypt_addresses';

  override up(): void | Promise<void> {
    // By hand: SQL cannot encrypt the addresses that are there, nor read encrypted ones. The next sign-in brings new ones.
    this.addSql(`update sessions set ip = null where ip is not null;`);
    this.addSql(`update users set last_login_ip = null where last_login_ip is not null;`);

    this.addSql(`create table "audit_events" ("id" serial primary key, "created_at" timestamptz(3) not null default now(), "event" varchar(50) not null, "user_public_id" uuid null, "session_public_id" uuid null, "reason" varchar(50) null, "sessions" int null, "ip" text null, "user_agent" varchar(400) null, "request_id" varchar(128) null, "kept_until" timestamptz(3) not null);`);
    this.addSql(`comment on column "audit_events"."ip" is 'encrypted';`);
    this.addSql(`create index "audit_events_user" on "audit_events" ("user_public_id", "id");`);
    this.addSql(`create index "audit_events_kept_until" on "audit_events" ("kept_until");`);

    this.addSql(`alter table "throttles" add "refusals" int not null default 0;`);
    this.addSql(`alter table "throttles" rename column "blocked_until" to "until";`);

    this.addSql(`alter table "users" alter column "last_login_ip" type text using ("last_login_ip"::text);`);
    this.addSql(`comment on column "users"."last_login_ip" is 'encrypted';`);

    this.addSql(`alter table "sessions" alter column "ip" type text using ("ip"::text);`);
    this.addSql(`comment on column "sessions"."ip" is 'encrypted';`);

    this.addSql(`create or replace function "audit_events_audit_events_unchanged_fn"() returns trigger as \$\$ begin raise exception 'audit events are not changed'; end; \$\$ language plpgsql;`);
    this.addSql(`create trigger "audit_events_unchanged" BEFORE UPDATE on "audit_events" for each ROW
  when ((old.id, old.created_at, old.event, old.user_public_id, old.session_public_id, old.reason, old.sessions, old.user_agent, old.request_id, old.kept_until) is distinct from (new.id, new.created_at, new.event, new.user_public_id, new.session_public_id, new.reason, new.sessions, new.user_agent, new.request_id, new.kept_until)) execute function "audit_events_audit_events_unchanged_fn"();`);
    this.addSql(`create or replace function "audit_events_audit_events_kept_fn"() returns trigger as \$\$ begin raise exception 'audit events are kept until kept_until'; end; \$\$ language plpgsql;`);
    this.addSql(`create trigger "audit_events_kept" BEFORE DELETE on "audit_events" for each ROW
  when (old.kept_until > now()) execute function "audit_events_audit_events_kept_fn"();`);
  }

  override down(): void | Promise<void> {
    // By hand: SQL cannot encrypt the addresses that are there, nor read encrypted ones. The next sign-in brings new ones.
    this.addSql(`update sessions set ip = null where ip is not null;`);
    this.addSql(`update users set last_login_ip = null where last_login_ip is not null;`);

    this.addSql(`drop trigger if exists "audit_events_unchanged" on "audit_events";`);
    this.addSql(`drop function if exists "audit_events_audit_events_unchanged_fn"();`);
    this.addSql(`drop trigger if exists "audit_events_kept" on "audit_events";`);
    this.addSql(`drop function if exists "audit_events_audit_events_kept_fn"();`);
    this.addSql(`drop table if exists "audit_events" cascade;`);

    this.addSql(`alter table "sessions" alter column "ip" type varchar(45) using ("ip"::varchar(45));`);
    this.addSql(`comment on column "sessions"."ip" is null;`);

    this.addSql(`alter table "throttles" drop column "refusals";`);
    this.addSql(`alter table "throttles" rename column "until" to "blocked_until";`);

    this.addSql(`alter table "users" alter column "last_login_ip" type varchar(45) using ("last_login_ip"::varchar(45));`);
    this.addSql(`comment on column "users"."last_login_ip" is null;`);
  }

}
