import { expect, test } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { createLimiter } from '../../src/core/limiter.ts'

/** A task that runs until it is told to end. */
function task() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const state = { started: false }
  const run = () => {
    state.started = true
    return promise
  }
  return { state, run, end: resolve, fail: reject }
}

test('no more tasks run at once than allowed; the next starts when one ends', async () => {
  const { run: limit } = createLimiter(2, 10)
  const tasks = [task(), task(), task()]
  const results = tasks.map(({ run }) => limit(run))
  expect(tasks.map(({ state }) => state.started)).toEqual([true, true, false])

  tasks[0]!.end('first')
  await expect(results[0]).resolves.toBe('first')
  expect(tasks[2]!.state.started).toBe(true)

  for (const { end } of tasks) end('done')
  await Promise.all(results)
})

test('waiting tasks start in the order in which they came', async () => {
  const { run: limit } = createLimiter(1, 10)
  const order: number[] = []
  await Promise.all([1, 2, 3, 4].map((number) => limit(async () => order.push(number))))
  expect(order).toEqual([1, 2, 3, 4])
})

test('a task is refused at once when the queue is full, and can be told before (ASVS 15.2.2)', async () => {
  const { run: limit, requireRoom } = createLimiter(1, 1)
  const running = task()
  const waiting = task()
  const surplus = task()
  const results = [limit(running.run), limit(waiting.run)]

  expect(requireRoom).toThrow(UnavailableError)
  await expect(limit(surplus.run)).rejects.toThrow(UnavailableError)
  await expect(limit(surplus.run)).rejects.toMatchObject({ code: 'unavailable', retryAfter: 2 })
  expect(surplus.state.started).toBe(false)

  running.end('done')
  waiting.end('done')
  await Promise.all(results)
  expect(requireRoom).not.toThrow()
  await expect(limit(async () => 'there is room again')).resolves.toBe('there is room again')
})

test('a task that fails gives its place free, and its error goes to its caller alone', async () => {
  const { run: limit } = createLimiter(1, 1)
  const failing = task()
  const failed = limit(failing.run)
  const next = limit(async () => 'fine')
  failing.fail(new Error('broken'))
  await expect(failed).rejects.toThrow('broken')
  await expect(next).resolves.toBe('fine')
})
