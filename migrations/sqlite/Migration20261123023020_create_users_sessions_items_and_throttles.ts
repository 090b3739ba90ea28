import { Migration } from '@mikro-orm/migrations';

export class Migration20261123023020_create_users_sessions_items_and_throttles extends Migration {

  override name = 'Migration20261123023020_create_users_sessions_items_and_throttles';

  override up(): void | Promise<void> {
    this.addSql(`create table \`throttles\` (\`id\` integer not null primary key autoincrement, \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`key\` text not null, \`attempts\` integer not null default 1, \`blocked_until\` datetime not null);`);
    this.addSql(`create unique index \`throttles_key_unique\` on \`throttles\` (\`key\`);`);
    this.addSql(`create index \`throttles_updated_at\` on \`throttles\` (\`updated_at\`);`);

    this.addSql(`create table \`users\` (\`id\` integer not null primary key autoincrement, \`public_id\` text not null default (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`deleted_at\` datetime null, \`is_deleted\` boolean generated always as (deleted_at is not null) stored, \`email\` text not null, \`password_hash\` text not null, \`first_name\` text not null, \`last_name\` text not null, \`role\` text check (\`role\` in ('user', 'moderator', 'admin', 'super_admin')) not null default 'user', \`is_active\` boolean not null default true, \`is_verified\` boolean not null default false, \`password_changed_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`last_login\` datetime null, \`last_login_ip\` text null, constraint \`users_email_lower_case\` check (email = lower(email)));`);
    this.addSql(`create unique index \`users_public_id_unique\` on \`users\` (\`public_id\`);`);
    this.addSql(`create unique index \`users_email_unique\` on \`users\` (\`email\`) where deleted_at is null;`);

    this.addSql(`create table \`sessions\` (\`id\` integer not null primary key autoincrement, \`public_id\` text not null default (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`user_id\` integer not null, \`gen\` integer not null default 0, \`confirmed_gen\` integer not null default 0, \`rotation_id\` text null, \`rotated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`expires_at\` datetime not null, \`idle_expires_at\` datetime not null, \`revoked_at\` datetime null, \`revoke_reason\` text check (\`revoke_reason\` in ('logout', 'logout_all', 'password_change', 'deactivated', 'refresh_reuse', 'revoked')) null, \`ip\` text null, \`user_agent\` text null, constraint \`sessions_user_id_foreign\` foreign key (\`user_id\`) references \`users\` (\`id\`) on delete cascade, constraint \`sessions_gen_range\` check (gen >= 0 and confirmed_gen >= 0 and confirmed_gen <= gen), constraint \`sessions_revoked_with_reason\` check ((revoked_at is null) = (revoke_reason is null)));`);
    this.addSql(`create unique index \`sessions_public_id_unique\` on \`sessions\` (\`public_id\`);`);
    this.addSql(`create index \`sessions_user_id_index\` on \`sessions\` (\`user_id\`);`);

    this.addSql(`create table \`items\` (\`id\` integer not null primary key autoincrement, \`public_id\` text not null default (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))), \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`updated_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`deleted_at\` datetime null, \`is_deleted\` boolean generated always as (deleted_at is not null) stored, \`name\` text not null, \`description\` text null, \`status\` text check (\`status\` in ('draft', 'active', 'archived')) not null default 'draft', \`priority\` integer not null default 1, \`owner_id\` integer null, constraint \`items_owner_id_foreign\` foreign key (\`owner_id\`) references \`users\` (\`id\`) on delete set null, constraint \`items_priority_range\` check (priority >= 1 and priority <= 5));`);
    this.addSql(`create unique index \`items_public_id_unique\` on \`items\` (\`public_id\`);`);
    this.addSql(`create index \`items_owner_id_index\` on \`items\` (\`owner_id\`);`);
    this.addSql(`create index \`items_newest\` on \`items\` (\`created_at\`, \`id\`) where deleted_at is null;`);
    this.addSql(`create index \`items_newest_by_status\` on \`items\` (\`status\`, \`created_at\`, \`id\`) where deleted_at is null;`);
  }

  override down(): void | Promise<void> {

    this.addSql(`drop table if exists \`throttles\`;`);
    this.addSql(`drop table if exists \`users\`;`);
    this.addSql(`drop table if exists \`sessions\`;`);
    this.addSql(`drop table if exists \`items\`;`);
  }

}
