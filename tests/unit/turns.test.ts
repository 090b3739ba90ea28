import { expect, test } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { createTurns } from '../../src/core/turns.ts'

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

test('more than a hundred waiting for one key are told that the server is busy', async () => {
  const inTurn = createTurns()
  const results = await Promise.allSettled(Array.from({ length: 101 }, () => inTurn('a', () => later('done'))))
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  expect(results.at(-1)).toMatchObject({ reason: expect.any(UnavailableError) })
})
