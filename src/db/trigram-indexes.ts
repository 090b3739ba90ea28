import type { DatabaseTable, IndexDef } from '@mikro-orm/sql'

// An index of the type `trigram`, which a model declares like any other: it finds the rows whose texts contain a text.

export const isTrigram = ({ type }: IndexDef): boolean => type === 'trigram'

/** What an index of the type `trigram` is in SQLite: a full-text table that triggers keep in step. It holds no copy of the texts. */
export function createTrigramTable({ keyName, columnNames, where = 'true' }: IndexDef, table: DatabaseTable): string {
  const watched = table.getColumns().map(({ name }) => name)
  const matters = (name: string) =>
    name === 'id' || columnNames.includes(name) || new RegExp(`\\b${name}\\b`).test(where)
  const changes = watched.filter(matters)
  const columns = columnNames.join(', ')
  const fill = `insert into ${keyName} (rowid, ${columns}) select id, ${columns} from ${table.name} where (${where})`
  const empty = `delete from ${keyName} where rowid = old.id`
  return [
    `create virtual table ${keyName} using fts5(${columns}, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1');`,
    `create trigger ${keyName}_add after insert on ${table.name} begin ${fill} and id = new.id; end;`,
    `create trigger ${keyName}_change after update of ${changes.join(', ')} on ${table.name} begin ${empty}; ${fill} and id = new.id; end;`,
    `create trigger ${keyName}_remove after delete on ${table.name} begin ${empty}; end;`,
    `${fill};`,
  ].join('\n')
}

/** In PostgreSQL it is an index of the extension `pg_trgm`, which the owner of a database may bring in. */
export function createTrigramIndex({ keyName, columnNames, where = 'true' }: IndexDef, table: DatabaseTable): string {
  const columns = columnNames.map((name) => `${name} gin_trgm_ops`).join(', ')
  return `create extension if not exists pg_trgm;\ncreate index ${keyName} on ${table.name} using gin (${columns}) where ${where};`
}

/** Its triggers may have gone with the table that they watch. */
export const dropTrigramTable = (name: string): string =>
  [...['add', 'change', 'remove'].map((of) => `drop trigger if exists ${name}_${of};`), `drop table ${name};`].join(
    '\n',
  )
