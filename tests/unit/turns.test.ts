import { expect, test } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { createTurns as create } from '../../src/core/turns.ts'

/** For tests in which few wait. */
function createTurns() {
  const inTurn = create()
  return <T>(key: string, task: () => Promise<T>) => inTurn(key, task, () => Promise.reject(new Error('too many')))
}

const later = <T>(result: T) => new Promise<T>((resolve) => void setImmediate(() => resolve(result)))

test('tasks of one key follow one another, those of different keys do not wait', async () => {
  const inTurn = createTurns()
  const order: string[] = []
  const task = (name: string) => async () => {
    order.push(`${name} begins`)
    await later(undefined)
    order.push(`${name} ends`)
  }
  await Promise.all([inTurn('a', task('first')), inTurn('a', task('second')), inTurn('b', task('other'))])
  expect(order.slice(0, 2)).toEqual(['first begins', 'other begins'])
  expect(order.indexOf('second begins')).toBeGreaterThan(order.indexOf('first ends'))
})

test('a task that fails does not keep the next one from its turn', async () => {
  const inTurn = createTurns()
  const failing = inTurn('a', () => Promise.reject(new Error('once')))
  const next = inTurn('a', () => later('done'))
  await expect(failing).rejects.toThrow('once')
  await expect(next).resolves.toBe('done')
})

test('behind one that finds something unavailable nobody waits for the same time limit, and the next to come is tried', async () => {
  const inTurn = createTurns()
  let tried = 0
  const away = () => {
    tried++
    return later(undefined).then(() => {
      throw new UnavailableError('The database is away')
    })
  }
  const results = await Promise.allSettled([inTurn('a', away), inTurn('a', away), inTurn('a', away)])
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(tried).toBe(1)
  await expect(inTurn('a', () => later('back'))).resolves.toBe('back')
})

test('instead of more than a hundred waiting for one key, something else is done at once', async () => {
  const inTurn = create()
  const task = () => later('done')
  const results = await Promise.all(Array.from({ length: 101 }, () => inTurn('a', task, async () => 'surplus')))
  expect(results.filter((result) => result === 'surplus')).toHaveLength(1)
  expect(results.at(-1)).toBe('surplus')
})
