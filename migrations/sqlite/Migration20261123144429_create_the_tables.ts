import { Migration } from '@mikro-orm/migrations';

export class Migration20261123144429_create_the_tables extends Migration {

  override name = 'Migration20261123144429_create_the_tables';

  override up(): void | Promise<void> {
    this.addSql(`create table \`audit_events\` (\`id\` integer not null primary key autoincrement, \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`event\` text not null, \`user_public_id\` text null, \`session_public_id\` text null, \`reason\` text null, \`sessions\` integer null, \`ip\` text null, \`user_agent\` text null, \`request_id\` text null, \`kept_until\` datetime not null);`);
    this.addSql(`create index \`audit_events_user\` on \`audit_events\` (\`user_public_id\`, \`id\`);`);
    this.addSql(`create index \`audit_events_kept_until\` on \`audit_events\` (\`kept_until\`);`);
    this.addSql(`create trigger \`audit_events_unchanged\` BEFORE UPDATE on \`audit_events\` for each ROW
  when (old.id, old.created_at, old.event, old.user_public_id, old.session_public_id, old.reason, old.sessions, old.user_agent, old.request_id, old.kept_until, old.ip is null) is distinct from (new.id, new.created_at, new.event, new.user_public_id, new.session_public_id, new.reason, new.sessions, new.user_agent, new.request_id, new.kept_until, new.ip is null) begin select raise(abort, 'audit events are not changed'); end;`);
    this.addSql(`create trigger \`audit_events_kept\` BEFORE DELETE on \`audit_events\` for each ROW
  when old.kept_until > (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) begin select raise(abort, 'audit events are kept until kept_until'); end;`);

    this.addSql(`create table \`idempotency_keys\` (\`key\` text not null primary key, \`request_hash\` text not null, \`answer\` text null, \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`expires_at\` datetime not null);`);
    this.addSql(`create index \`idempotency_keys_expires_at\` on \`idempotency_keys\` (\`expires_at\`);`);

    this.addSql(`create table \`throttles\` (\`key\` text not null primary key, \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`attempts\` integer not null default 1, \`until\` datetime not null);`);
    this.addSql(`create index \`throttles_updated_at\` on \`throttles\` (\`updated_at\`);`);

    this.addSql(`create table \`users\` (\`id\` integer not null primary key autoincrement, \`public_id\` text not null default (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`version\` integer not null default 1, \`deleted_at\` datetime null, \`is_deleted\` boolean generated always as (deleted_at is not null) stored, \`email\` text not null, \`password_hash\` text not null, \`first_name\` text not null, \`last_name\` text not null, \`role\` text check (\`role\` in ('user', 'moderator', 'admin', 'super_admin')) not null default 'user', \`is_active\` boolean not null default true, \`is_verified\` boolean not null default false, \`password_changed_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`last_login\` datetime null, \`last_login_ip\` text null, constraint \`users_email_lower_case\` check (email = lower(email)));`);
    this.addSql(`create unique index \`users_public_id_unique\` on \`users\` (\`public_id\`);`);
    this.addSql(`create unique index \`users_email_unique\` on \`users\` (\`email\`) where deleted_at is null;`);

    this.addSql(`create table \`sessions\` (\`id\` integer not null primary key autoincrement, \`public_id\` text not null default (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`user_id\` bigint not null, \`gen\` integer not null default 0, \`confirmed_gen\` integer not null default 0, \`rotation_id\` text null, \`rotated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`expires_at\` datetime not null, \`idle_expires_at\` datetime not null, \`revoked_at\` datetime null, \`revoke_reason\` text check (\`revoke_reason\` in ('logout', 'logout_all', 'password_change', 'deactivated', 'refresh_reuse', 'revoked')) null, \`ip\` text null, \`user_agent\` text null, constraint \`sessions_user_id_foreign\` foreign key (\`user_id\`) references \`users\` (\`id\`) on delete cascade, constraint \`sessions_gen_range\` check (gen >= 0 and confirmed_gen >= 0 and confirmed_gen <= gen), constraint \`sessions_revoked_with_reason\` check ((revoked_at is null) = (revoke_reason is null)));`);
    this.addSql(`create unique index \`sessions_public_id_unique\` on \`sessions\` (\`public_id\`);`);
    this.addSql(`create index \`sessions_user_id_index\` on \`sessions\` (\`user_id\`);`);
    this.addSql(`create index \`sessions_revoked_at\` on \`sessions\` (\`revoked_at\`) where revoked_at is not null;`);
    this.addSql(`create index \`sessions_expires_at\` on \`sessions\` (\`expires_at\`);`);
    this.addSql(`create index \`sessions_idle_expires_at\` on \`sessions\` (\`idle_expires_at\`);`);

    this.addSql(`create table \`items\` (\`id\` integer not null primary key autoincrement, \`public_id\` text not null default (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`version\` integer not null default 1, \`deleted_at\` datetime null, \`is_deleted\` boolean generated always as (deleted_at is not null) stored, \`name\` text not null, \`description\` text null, \`name_folded\` text not null, \`description_folded\` text null, \`status\` text check (\`status\` in ('draft', 'active', 'archived')) not null default 'draft', \`priority\` integer not null default 1, \`owner_id\` bigint null, constraint \`items_owner_id_foreign\` foreign key (\`owner_id\`) references \`users\` (\`id\`) on delete set null, constraint \`items_priority_range\` check (priority >= 1 and priority <= 5));`);
    this.addSql(`create unique index \`items_public_id_unique\` on \`items\` (\`public_id\`);`);
    this.addSql(`create index \`items_newest\` on \`items\` (\`created_at\`, \`id\`, \`deleted_at\`) where deleted_at is null;`);
    this.addSql(`create index \`items_by_status\` on \`items\` (\`status\`, \`created_at\`, \`id\`, \`deleted_at\`) where deleted_at is null;`);
    this.addSql(`create index \`items_by_priority\` on \`items\` (\`priority\`, \`created_at\`, \`id\`, \`deleted_at\`) where deleted_at is null;`);
    this.addSql(`create index \`items_by_name\` on \`items\` (\`name_folded\`, \`id\`) where deleted_at is null;`);
    this.addSql(`create index \`items_by_owner\` on \`items\` (\`owner_id\`, \`created_at\`, \`id\`, \`deleted_at\`);`);
    this.addSql(`create virtual table items_search using fts5(name_folded, description_folded, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1');`);
    this.addSql(`create trigger items_search_add after insert on items begin insert into items_search (rowid, name_folded, description_folded) select id, name_folded, description_folded from items where (deleted_at is null) and id = new.id; end;`);
    this.addSql(`create trigger items_search_change after update of id, deleted_at, name_folded, description_folded on items begin delete from items_search where rowid = old.id; insert into items_search (rowid, name_folded, description_folded) select id, name_folded, description_folded from items where (deleted_at is null) and id = new.id; end;`);
    this.addSql(`create trigger items_search_remove after delete on items begin delete from items_search where rowid = old.id; end;`);
    this.addSql(`insert into items_search (rowid, name_folded, description_folded) select id, name_folded, description_folded from items where (deleted_at is null);`);
  }

  override down(): void | Promise<void> {

    this.addSql(`drop trigger if exists \`audit_events_unchanged\`;`);
    this.addSql(`drop trigger if exists \`audit_events_kept\`;`);
    this.addSql(`drop table if exists \`audit_events\`;`);
    this.addSql(`drop table if exists \`idempotency_keys\`;`);
    this.addSql(`drop table if exists \`throttles\`;`);
    this.addSql(`drop table if exists \`users\`;`);
    this.addSql(`drop table if exists \`sessions\`;`);
    this.addSql(`drop table if exists \`items\`;`);
    this.addSql(`drop table if exists items_search;`);
  }

}
