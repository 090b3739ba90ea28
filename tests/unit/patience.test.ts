import { pino } from 'pino'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createPatience } from '../../src/core/patience.ts'

test('who did not answer is asked again after a while, also when the clock was put back meanwhile', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { ask } = createPatience('Somebody', pino({ level: 'silent' }))
  const answer = () => ask(async () => 'an answer')
  expect(await ask(() => Promise.reject(new Error('away')))).toBe(undefined)
  expect(await answer()).toBe(undefined)
  vi.setSystemTime(Date.now() - 60 * 60 * 1000)
  expect(await answer()).toBe(undefined)
  vi.advanceTimersByTime(5000)
  expect(await answer()).toBe('an answer')
})
