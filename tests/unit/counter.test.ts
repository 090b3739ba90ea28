import { expect, test, vi } from 'vitest'
import { createCounter, rateWindow } from '../../src/core/counter.ts'

test('each client is counted by itself, and anew when its time is over', () => {
  vi.useFakeTimers()
  const count = createCounter()
  expect(count('ada')).toEqual({ requests: 1, left: rateWindow * 1000 })
  vi.advanceTimersByTime(rateWindow * 1000 - 1)
  expect(count('ada')).toEqual({ requests: 2, left: 1 })
  expect(count('grace').requests).toBe(1)
  vi.advanceTimersByTime(1)
  expect(count('ada').requests).toBe(1)
  expect(count('grace').requests).toBe(2)
  vi.useRealTimers()
})

test('ten thousand clients are remembered, and the one unheard of for longest is forgotten', () => {
  const count = createCounter()
  for (let client = 0; client < 10_000; client++) count(`client ${client}`)
  expect(count('client 0').requests).toBe(2)
  count('one more')
  expect(count('client 0').requests).toBe(3)
  expect(count('client 1').requests).toBe(1)
})
