import { expressionBuilder, type Compilable, type CompiledQuery, type Expression, type QueryResult } from 'kysely'
import type { Tables } from '../models/index.ts'

/** Compiled forms kept of one statement: there is one for each set of values given and each choice, and lists have many. */
const formsKept = 500

/** The values of a statement before they are known; an optional one is there or not, as it will be. */
export type Given<Values> = {
  [Name in keyof Values]: undefined extends Values[Name]
    ? Expression<Exclude<Values[Name], undefined>> | undefined
    : Expression<Values[Name]>
}

/** Stands for a value in a compiled query. `convert` is what happens to the value on its way into the database. */
export class Placeholder {
  readonly name: string
  readonly convert: (value: unknown) => unknown
  constructor(name: string, convert: (value: unknown) => unknown = (value) => value) {
    this.name = name
    this.convert = convert
  }
}

/** A choice is asked for only where the statement has one. */
type Input<Values, Choice> = [values: Values, ...choice: Choice extends undefined ? [] : [choice: Choice]]

export interface Statement<Values, Row, Choice = undefined> {
  all(...input: Input<Values, Choice>): Promise<Row[]>
  /** Gives undefined when there is no row. */
  first(...input: Input<Values, Choice>): Promise<Row | undefined>
  /** @throws Error when there is no row */
  one(...input: Input<Values, Choice>): Promise<Row>
  /** How many rows it changed. */
  count(...input: Input<Values, Choice>): Promise<number>
}

/**
 * Makes statements that are compiled once, when first used, and then run with new values: building the text of a
 * query costs more than SQLite takes to answer it. Write the query as any other, over what is `given`; it may ask
 * which optional values are there, and not what they are. What changes the text by its value, such as an order, is
 * a `choice`, of which there must be few.
 */
export function createPrepare(run: <Row>(query: CompiledQuery<Row>) => Promise<QueryResult<Row>>) {
  return function prepare<Values extends object, Row, Choice = undefined>(
    build: (given: Given<Values>, choice: Choice) => Compilable<Row>,
  ): Statement<Values, Row, Choice> {
    const forms = new Map<string, CompiledQuery<Row>>()

    function execute([values, choice]: readonly [Values, ...unknown[]]) {
      const form = formOf(values, choice)
      let compiled = forms.get(form)
      if (!compiled) {
        compiled = build(placeholders(values), choice as Choice).compile()
        if (forms.size >= formsKept) forms.clear()
        forms.set(form, compiled)
      }
      return run<Row>({ ...compiled, parameters: fill(compiled.parameters, values as Record<string, unknown>) })
    }

    return {
      all: async (...input) => (await execute(input)).rows,
      first: async (...input) => (await execute(input)).rows[0],
      async one(...input) {
        const { rows } = await execute(input)
        if (rows.length === 0) throw new Error('The statement gives no row')
        return rows[0]!
      },
      count: async (...input) => Number((await execute(input)).numAffectedRows),
    }
  }
}

/** Which values are there, and the choice. */
function formOf(values: object, choice: unknown): string {
  let form = choice === undefined ? '' : JSON.stringify(choice)
  for (const [name, value] of Object.entries(values)) if (value !== undefined) form += ` ${name}`
  return form
}

function placeholders<Values extends object>(values: Values): Given<Values> {
  const { val } = expressionBuilder<Tables>()
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name]) => [name, val(new Placeholder(name))])) as Given<Values>
}

const fill = (parameters: readonly unknown[], values: Record<string, unknown>) =>
  parameters.map((parameter) =>
    parameter instanceof Placeholder ? parameter.convert(values[parameter.name]) : parameter,
  )
