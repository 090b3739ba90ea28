import { Migration } from '@mikro-orm/migrations';

export class Migration20261123042255_add_audit_events_encrypt_addresses extends Migration {

  override name = 'Migration20261123042255_add_audit_events_encrypt_addresses';

  override up(): void | Promise<void> {
    // By hand: SQL cannot encrypt the addresses that are there, nor read encrypted ones. The next sign-in brings new ones.
    this.addSql(`update sessions set ip = null where ip is not null;`);
    this.addSql(`update users set last_login_ip = null where last_login_ip is not null;`);

    this.addSql(`create table \`audit_events\` (\`id\` integer not null primary key autoincrement, \`created_at\` datetime not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), \`event\` text not null, \`user_public_id\` text null, \`session_public_id\` text null, \`reason\` text null, \`sessions\` integer null, \`ip\` text null, \`user_agent\` text null, \`request_id\` text null, \`kept_until\` datetime not null);`);
    this.addSql(`create index \`audit_events_user\` on \`audit_events\` (\`user_public_id\`, \`id\`);`);
    this.addSql(`create index \`audit_events_kept_until\` on \`audit_events\` (\`kept_until\`);`);
    this.addSql(`create trigger \`audit_events_unchanged\` BEFORE UPDATE on \`audit_events\` for each ROW
  when (old.id, old.created_at, old.event, old.user_public_id, old.session_public_id, old.reason, old.sessions, old.user_agent, old.request_id, old.kept_until) is distinct from (new.id, new.created_at, new.event, new.user_public_id, new.session_public_id, new.reason, new.sessions, new.user_agent, new.request_id, new.kept_until) begin select raise(abort, 'audit events are not changed'); end;`);
    this.addSql(`create trigger \`audit_events_kept\` BEFORE DELETE on \`audit_events\` for each ROW
  when old.kept_until > (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) begin select raise(abort, 'audit events are kept until kept_until'); end;`);

    this.addSql(`alter table \`throttles\` add column \`refusals\` integer not null default 0;`);
    this.addSql(`alter table \`throttles\` rename column \`blocked_until\` to \`until\`;`);
  }

  override down(): void | Promise<void> {
    // By hand: SQL cannot encrypt the addresses that are there, nor read encrypted ones. The next sign-in brings new ones.
    this.addSql(`update sessions set ip = null where ip is not null;`);
    this.addSql(`update users set last_login_ip = null where last_login_ip is not null;`);

    this.addSql(`drop trigger if exists \`audit_events_unchanged\`;`);
    this.addSql(`drop trigger if exists \`audit_events_kept\`;`);
    this.addSql(`drop table if exists \`audit_events\`;`);

    this.addSql(`alter table \`throttles\` drop column \`refusals\`;`);
    this.addSql(`alter table \`throttles\` rename column \`until\` to \`blocked_until\`;`);
  }

}
