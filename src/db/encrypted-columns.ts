import {
  AliasNode,
  ColumnNode,
  IdentifierNode,
  InsertQueryNode,
  PrimitiveValueListNode,
  ReferenceNode,
  SelectAllNode,
  SelectQueryNode,
  TableNode,
  UpdateQueryNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
  type ColumnUpdateNode,
  type KyselyPlugin,
  type OperationNode,
  type QueryId,
  type RootOperationNode,
  type WithNode,
} from 'kysely'
import type { Encryption } from '../core/security/encryption.ts'
import { encryptedColumns } from '../models/encrypted.ts'
import { Placeholder } from './statements.ts'

const columnsOf = (table: string): readonly string[] =>
  (encryptedColumns as Record<string, readonly string[]>)[table] ?? []

/**
 * Encrypts the values of encrypted columns on their way into the database, and decrypts them on their way
 * out, so that queries are written as for any other column. Such a column cannot be searched or sorted by:
 * the same text is another token each time. It is read by its name in the query's own `select` or `returning`; what
 * an inner query hands out stays a token.
 */
export function translateEncryptedColumns({ encrypt, decrypt }: Encryption) {
  /** What there is to decrypt in the rows of a query, by its name there. */
  const readable = new WeakMap<QueryId, string[]>()

  /** Decrypts the rows of a query in place. */
  function decryptRows(rows: Record<string, unknown>[], queryId: QueryId): void {
    for (const name of readable.get(queryId) ?? [])
      for (const row of rows) if (typeof row[name] === 'string') row[name] = decrypt(row[name])
  }

  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      const names = encryptedResults(node)
      if (names.length > 0) readable.set(queryId, names)
      return withEncryptedValues(node, encrypt)
    },
    async transformResult({ result, queryId }) {
      decryptRows(result.rows, queryId)
      return result
    },
  }
  return { plugin, decryptRows }
}

/** The query with the values for encrypted columns encrypted. */
function withEncryptedValues(query: RootOperationNode, encrypt: (text: string) => string): RootOperationNode {
  const node = 'with' in query && query.with ? { ...query, with: withinWith(query.with, encrypt) } : query
  if (!UpdateQueryNode.is(node) && !InsertQueryNode.is(node)) return node
  const [columns = []] = tablesOf(node).map(({ encrypted }) => encrypted)
  if (columns.length === 0) return node

  const plain = (value: unknown): unknown =>
    value instanceof Placeholder
      ? new Placeholder(value.name, plain)
      : typeof value === 'string'
        ? encrypt(value)
        : value
  const value = (given: OperationNode) => {
    if (ValueNode.is(given)) return ValueNode.create(plain(given.value))
    if (given.kind === 'DefaultInsertValueNode') return given
    throw new Error(`An encrypted column (${columns.join(', ')}) takes a plain value, not an expression`)
  }
  const updates = (given: readonly ColumnUpdateNode[]) =>
    given.map((update) =>
      columns.includes(columnName(update.column)) ? { ...update, value: value(update.value) } : update,
    )

  if (UpdateQueryNode.is(node)) return { ...node, updates: updates(node.updates ?? []) }
  const onConflict = node.onConflict?.updates && { ...node.onConflict, updates: updates(node.onConflict.updates) }
  const encrypted = (node.columns ?? []).map(({ column }) => columns.includes(column.name))
  if (!encrypted.includes(true)) return { ...node, ...(onConflict && { onConflict }) }
  if (!node.values || !ValuesNode.is(node.values))
    throw new Error(`An encrypted column (${columns.join(', ')}) takes plain values, not those of a query`)
  const rows = node.values.values.map((row) =>
    PrimitiveValueListNode.is(row)
      ? PrimitiveValueListNode.create(row.values.map((given, at) => (encrypted[at] ? plain(given) : given)))
      : ValueListNode.create(row.values.map((given, at) => (encrypted[at] ? value(given) : given))),
  )
  return { ...node, values: ValuesNode.create(rows), ...(onConflict && { onConflict }) }
}

const withinWith = (node: WithNode, encrypt: (text: string) => string): WithNode => ({
  ...node,
  expressions: node.expressions.map((table) => ({
    ...table,
    expression: withEncryptedValues(table.expression as RootOperationNode, encrypt),
  })),
})

/** The names that encrypted columns have in the rows of a query. */
function encryptedResults(node: RootOperationNode): string[] {
  const tables = tablesOf(node).filter(({ encrypted }) => encrypted.length > 0)
  if (tables.length === 0) return []

  const namesOf = (selected: OperationNode): string[] => {
    if (AliasNode.is(selected))
      return namesOf(selected.node).flatMap(() => (IdentifierNode.is(selected.alias) ? selected.alias.name : []))
    const { column, table } = ReferenceNode.is(selected) ? selected : { column: selected, table: undefined }
    const columns = tables
      .filter(({ name }) => table === undefined || name === tableName(table))
      .flatMap(({ encrypted }) => encrypted)
    return SelectAllNode.is(column) ? columns : columns.filter((name) => name === columnName(column))
  }
  const selections = SelectQueryNode.is(node) ? node.selections : 'returning' in node && node.returning?.selections
  return (selections || []).flatMap(({ selection }) => namesOf(selection))
}

/** The tables of a query, by the names it gives them, with their encrypted columns. */
function tablesOf(node: RootOperationNode) {
  const own = InsertQueryNode.is(node) ? [node.into] : UpdateQueryNode.is(node) ? [node.table] : []
  const others = 'from' in node ? (node.from?.froms ?? []) : []
  const joined = 'joins' in node ? (node.joins ?? []).map(({ table }) => table) : []
  return [...own, ...others, ...joined].flatMap((source) => {
    const alias = source && AliasNode.is(source) && IdentifierNode.is(source.alias) ? source.alias.name : undefined
    const table = source && AliasNode.is(source) ? source.node : source
    if (!table || !TableNode.is(table)) return []
    return [{ name: alias ?? tableName(table), encrypted: columnsOf(tableName(table)) }]
  })
}

const tableName = ({ table }: TableNode) => table.identifier.name

const columnName = (node: OperationNode): string => {
  if (ReferenceNode.is(node)) return columnName(node.column)
  return ColumnNode.is(node) ? node.column.name : ''
}
