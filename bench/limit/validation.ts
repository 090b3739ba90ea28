// The template's rules for input, by hand: types, lengths and unknown fields. Gives undefined for what breaks one.
export interface ItemCreate {
  name: string
  description: string | null
  status: string
  priority: number
}
export type ItemUpdate = Partial<ItemCreate>

const statuses: unknown[] = ['draft', 'active', 'archived']

/** Characters are code points; only a text near the limit need be counted. */
const hasLength = (text: string, min: number, max: number) => {
  if (text.length <= max) return text.length >= 2 * min || [...text].length >= min
  return text.length <= 2 * max && [...text].length <= max
}

const isText = (value: unknown, min: number, max: number): value is string =>
  typeof value === 'string' && hasLength(value, min, max) && !value.includes('\0') && value.isWellFormed()

const isPriority = (value: unknown) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 5

/** Checks the fields that are there, and trims the name in place. */
export function readUpdate(body: unknown): ItemUpdate | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  const fields = body as Record<string, unknown>
  for (const name in fields) {
    const value = fields[name]
    switch (name) {
      case 'name':
        if (typeof value !== 'string') return undefined
        fields['name'] = value.trim()
        if (!isText(fields['name'], 1, 100)) return undefined
        break
      case 'description':
        if (value !== null && !isText(value, 0, 10_000)) return undefined
        break
      case 'status':
        if (!statuses.includes(value)) return undefined
        break
      case 'priority':
        if (!isPriority(value)) return undefined
        break
      default:
        return undefined
    }
  }
  return fields
}

export function readCreate(body: unknown): ItemCreate | undefined {
  const given = readUpdate(body)
  if (given?.name === undefined) return undefined
  return {
    name: given.name,
    description: given.description ?? null,
    status: given.status ?? 'draft',
    priority: given.priority ?? 1,
  }
}

/** Parameters that are known, each once. */
function readQuery(query: string, known: string[]): Record<string, string> | undefined {
  const values: Record<string, string> = {}
  if (query === '') return values
  for (const pair of query.split('&')) {
    const [name = '', value = '', ...rest] = pair.split('=')
    if (!known.includes(name) || name in values || rest.length > 0) return undefined
    try {
      values[name] = decodeURIComponent(value.replaceAll('+', ' '))
    } catch {
      return undefined
    }
  }
  return values
}

function pageOf({ page = '1', per_page = '20' }: Record<string, string>) {
  const [at, length] = [Number(page), Number(per_page)]
  if (!Number.isInteger(at) || at < 1 || !Number.isInteger(length) || length < 1 || length > 100) return undefined
  return { page: at, perPage: length }
}

export function readPage(query: string) {
  const values = readQuery(query, ['page', 'per_page'])
  return values && pageOf(values)
}

export function readSearch(query: string) {
  const values = readQuery(query, ['q', 'page', 'per_page'])
  const page = values && pageOf(values)
  return page && isText(values['q'], 1, 100) ? { q: values['q'], ...page } : undefined
}
