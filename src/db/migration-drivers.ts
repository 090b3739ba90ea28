import { PostgreSqlConnection, PostgreSqlPlatform, PostgreSqlSchemaHelper } from '@mikro-orm/postgresql'
import {
  AbstractSqlDriver,
  BaseSqliteConnection,
  SqlitePlatform,
  SqliteSchemaHelper,
  type Column,
  type Configuration,
  type DatabaseTable,
  type IndexDef,
  type TableDifference,
} from '@mikro-orm/sql'
import { createTrigramIndex, createTrigramTable, dropTrigramTable, isTrigram } from './trigram-indexes.ts'

// MikroORM's drivers, put right where they write migrations that fail on tables with generated columns.

/**
 * SQLite alters little in place; the rest is rebuilt: a new table is filled from the old one and takes its
 * name. MikroORM's own rebuild writes generated columns, which SQLite refuses, and it adds in place what
 * SQLite can add to empty tables only (generated columns, those with a computed default) or not at all (another
 * primary key).
 */
class SqliteHelper extends SqliteSchemaHelper {
  /** By the names of the tables that are created: what takes the creation back must drop them too. */
  readonly #trigramTables = new Map<string, string>()

  override createIndex(index: IndexDef, table: DatabaseTable, createPrimary?: boolean): string {
    if (!isTrigram(index)) return super.createIndex(index, table, createPrimary)
    this.#trigramTables.set(table.name, index.keyName)
    return createTrigramTable(index, table)
  }

  override dropIndex(table: string, index: IndexDef, oldIndexName?: string): string {
    return isTrigram(index) ? dropTrigramTable(index.keyName) : super.dropIndex(table, index, oldIndexName)
  }

  override dropTableIfExists(name: string, schema?: string): string {
    const trigramTable = this.#trigramTables.get(name)
    const drop = `${super.dropTableIfExists(name, schema)};`
    return trigramTable === undefined ? drop : `${drop}\ndrop table if exists ${trigramTable};`
  }

  override alterTable(diff: TableDifference, safe?: boolean): string[] {
    const statements = super.alterTable(diff, safe)
    const computed = [diff.addedColumns, diff.removedColumns]
      .flatMap((columns) => Object.values(columns))
      .some((column) => column.generated ?? column.default?.startsWith('('))
    const impossible = statements.some((text) => /__temp_alter| add primary key /.test(text))
    return computed || impossible ? this.#rebuild(diff) : statements
  }

  #rebuild({ fromTable, toTable, renamedColumns }: TableDifference): string[] {
    const [table, made] = [this.quote(toTable.name), this.quote(`${toTable.name}__new`)]
    const [create, ...indexes] = this.createTable(toTable)
    const oldNames = new Map(Object.entries(renamedColumns).map(([oldName, { name }]) => [name, oldName]))
    const copied = toTable
      .getColumns()
      .filter(({ generated }) => !generated)
      .map(({ name }) => ({ name, from: oldNames.get(name) ?? name }))
      .filter(({ from }) => fromTable.getColumn(from))
    const names = copied.map(({ name }) => this.quote(name)).join(', ')
    const values = copied.map(({ from }) => this.quote(from)).join(', ')
    const trigramTables = fromTable.getIndexes().filter(isTrigram)
    return [
      ...trigramTables.map((index) => this.dropIndex(fromTable.name, index)),
      create!.replace(`create table ${table}`, `create table ${made}`),
      `insert into ${made} (${names}) select ${values} from ${table};`,
      `drop table ${table};`,
      `alter table ${made} rename to ${table};`,
      ...indexes,
    ]
  }
}

class Sqlite extends SqlitePlatform {
  protected override readonly schemaHelper = new SqliteHelper(this)
}

export class SqliteDriver extends AbstractSqlDriver<BaseSqliteConnection, Sqlite> {
  constructor(config: Configuration) {
    super(config, new Sqlite(), BaseSqliteConnection, ['kysely'])
  }
}

/** A generated column goes before the columns it is computed from; PostgreSQL refuses the reverse. */
class PostgreSqlHelper extends PostgreSqlSchemaHelper {
  override createIndex(index: IndexDef, table: DatabaseTable, createPrimary?: boolean): string {
    return isTrigram(index) ? createTrigramIndex(index, table) : super.createIndex(index, table, createPrimary)
  }

  override getDropColumnsSQL(table: string, columns: Column[], schema?: string): string {
    const generatedFirst = columns.toSorted((a, b) => Number(Boolean(b.generated)) - Number(Boolean(a.generated)))
    return super.getDropColumnsSQL(table, generatedFirst, schema)
  }
}

class PostgreSql extends PostgreSqlPlatform {
  protected override readonly schemaHelper = new PostgreSqlHelper(this)
}

export class PostgreSqlDriver extends AbstractSqlDriver<PostgreSqlConnection, PostgreSql> {
  constructor(config: Configuration) {
    super(config, new PostgreSql(), PostgreSqlConnection, ['kysely', 'pg'])
  }
}
